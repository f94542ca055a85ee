//! `POST /_matrix/media/v3/upload`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixmediav3upload>

use actix_web::{HttpRequest, HttpResponse, http::header::CONTENT_TYPE};
use heliograph_matrix::Requester;
use heliograph_proto::{Begin, Describe, Target};
use heliograph_runtime::declared_bytes;
use heliograph_types::{ContentType, ErrorCode, FileName, Mxc};
use serde_json::{Value, json};

use crate::{
    auth,
    error::ApiError,
    limits::Caller,
    params::Query,
    receive::{self, Described},
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(call: Call<'_>, requester: Requester) -> Outcome {
    let target = Target::New(requester.user_id.server_name());
    let (mxc, mut answer) = store(call, requester, target).await?;
    answer["content_uri"] = mxc.to_string().into();
    Ok(HttpResponse::Ok().json(answer))
}

/// Stores the body as what the target names; with the beginning of the answer.
pub(crate) async fn store(
    Call { front, request, body }: Call<'_>,
    requester: Requester,
    target: Target,
) -> Result<(Mxc, Value), ApiError> {
    let described = described(front, request)?;
    let blurhash = Query::of(request).find_bool(&["xyz.amorgan.generate_blurhash"])?.unwrap_or(false);
    auth::not_suspended(front, &requester).await?;
    let caller = Caller::of(front, request, &requester);
    let declared_bytes = declared_bytes(request.headers());
    front.limits.upload(&caller).await?;
    let store = front.config.upload_store.clone();
    let begin = Begin { target, uploader: Some(requester.user_id), declared_bytes, store };
    let is_new_picture = front.premake.is_about(&described.content_type);
    let mxc = receive::upload(front, &caller, begin, described, body).await?;
    if blurhash {
        // Whatever is made of each new picture comes out of the same look.
        let answer = look_at(front, &mxc).await;
        return Ok((mxc, answer));
    }
    if is_new_picture {
        front.premake.tell(front, &mxc);
    }
    Ok((mxc, json!({})))
}

/// The blurhash of a picture (MSC2448). What cannot be looked at has none.
async fn look_at(front: &Front, mxc: &Mxc) -> Value {
    match front.thumbnails.describe(Describe { mxc: mxc.clone() }).await {
        Ok(description) => json!({ "xyz.amorgan.blurhash": description.blurhash }),
        Err(failure) => {
            tracing::debug!(%mxc, %failure, "no blurhash");
            json!({})
        }
    }
}

/// What the request says of its body.
fn described(front: &Front, request: &HttpRequest) -> Result<Described, ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(Described {
        content_type: content_type.map_or_else(ContentType::octet_stream, ContentType::parse_or_octet_stream),
        file_name: file_name(front, request)?,
    })
}

/// What the content is to be called.
pub(crate) fn file_name(front: &Front, request: &HttpRequest) -> Result<Option<FileName>, ApiError> {
    let query = Query::of(request);
    let file_name = query.find(&["filename"]).unwrap_or_default();
    let most = front.config.max_file_name_bytes;
    if file_name.len() > most {
        crate::metrics::limited("file_name");
        return Err(ApiError::new(ErrorCode::InvalidParam, format!("filename is longer than {most} bytes")));
    }
    Ok(FileName::new(file_name))
}
