//! `POST /_matrix/media/v3/upload`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixmediav3upload>

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
    web::{Data, Payload},
};
use heliograph_proto::{Begin, Target};
use heliograph_types::{ContentType, ErrorCode, FileName};
use serde_json::json;

use crate::{
    auth,
    error::ApiError,
    params::Query,
    receive::{self, Described},
    refuse::answer_or_refuse,
    server::Front,
};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest, mut body: Payload) -> HttpResponse {
    let stored = store(&front, &request, &mut body).await;
    answer_or_refuse(&front, &request, stored, body).await
}

async fn store(front: &Front, request: &HttpRequest, body: &mut Payload) -> Result<HttpResponse, ApiError> {
    let requester = auth::user(front, request).await?;
    let described = described(front, request)?;
    let begin = Begin {
        target: Target::New(requester.user_id.server_name()),
        uploader: Some(requester.user_id),
        declared_bytes: declared_bytes(request),
    };
    let mxc = receive::upload(front, begin, described, body).await?;
    Ok(HttpResponse::Ok().json(json!({ "content_uri": mxc.to_string() })))
}

/// What the request says of its body.
pub(crate) fn described(front: &Front, request: &HttpRequest) -> Result<Described, ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let query = Query::of(request);
    let file_name = query.find(&["filename"]).unwrap_or_default();
    if file_name.len() > front.config.max_file_name_bytes {
        crate::metrics::limited("file_name");
        let most = front.config.max_file_name_bytes;
        return Err(ApiError::new(ErrorCode::InvalidParam, format!("filename is longer than {most} bytes")));
    }
    Ok(Described {
        content_type: content_type.map_or_else(ContentType::octet_stream, ContentType::parse_or_octet_stream),
        file_name: FileName::new(file_name),
    })
}

/// The size that the request announces, if it does.
pub(crate) fn declared_bytes(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
