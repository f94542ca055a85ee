//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>
//!
//! And the same without authentication under `/_matrix/media`.

use std::time::Duration;

use actix_web::HttpRequest;
use heliograph_catalog::thumbnail_key;
use heliograph_matrix::Requester;
use heliograph_proto::{Render, Thumbnail};
use heliograph_types::{ContentType, ErrorCode, Mxc, ThumbnailMethod, ThumbnailSpec};

use crate::{
    deliver,
    error::ApiError,
    http::download::{self, Asked},
    limits::Caller,
    params::{self, Query},
    redirect::{self, Wanted},
    remote_thumbnail::{self, Source},
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, requester: Requester) -> Outcome {
    let asked = download::authenticated(front, request, &requester).await?;
    respond(front, request, asked).await
}

pub(crate) async fn handle_legacy(Call { front, request, .. }: Call<'_>) -> Outcome {
    let asked = download::legacy(front, request).await?;
    respond(front, request, asked).await
}

async fn respond(front: &Front, request: &HttpRequest, asked: Asked) -> Outcome {
    let mxc = params::mxc(request)?;
    let (spec, wait) = spec(front, request)?;
    let mut source = remote_thumbnail::find(front, &mxc, &asked, (spec, wait)).await?;
    let mut may_try_again = !front.is_ours(&mxc.server_name);
    let thumbnail = loop {
        match source {
            Source::Original => {}
            Source::Origin(Thumbnail { content_type, image }) => {
                return Ok(deliver::picture(request, &content_type, image, asked.caching));
            }
            Source::Elsewhere(base) => return redirect::to_origin(&base, &mxc, &Wanted::Thumbnail(spec), wait),
        }
        match stored_or_rendered(front, &asked.caller, mxc.clone(), spec).await {
            Err(error) if may_try_again && error.is_not_found() => {
                source = remote_thumbnail::find_again(front, &mxc, &asked, (spec, wait)).await?;
                may_try_again = false;
            }
            thumbnail => break thumbnail?,
        }
    };
    if let Some(redirect) = redirect::picture(front, request, asked.wish, (&mxc, spec), &thumbnail).await {
        return Ok(redirect);
    }
    Ok(deliver::picture(request, &thumbnail.content_type, thumbnail.image, asked.caching))
}

/// Which thumbnail the request asks for, and how long it wants to wait for the original.
pub(crate) fn spec(front: &Front, request: &HttpRequest) -> Result<(ThumbnailSpec, Duration), ApiError> {
    let query = Query::of(request);
    // Absurdly large is not wrong: the result is the original size.
    let pixels = |name| query.get_number(name, 1).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let method = query.find(&["method"]).map_or(Ok(ThumbnailMethod::default()), str::parse);
    let spec = ThumbnailSpec {
        width: pixels("width")?,
        height: pixels("height")?,
        method: method.map_err(|error| ApiError::new(ErrorCode::InvalidParam, error.to_string()))?,
        animated: query.find_bool(&["animated", "org.matrix.msc2705.animated"])?.unwrap_or(false),
    };
    Ok((spec, query.wait(front.config.max_wait)?))
}

/// The thumbnail of content that is here.
pub(crate) async fn stored_or_rendered(
    front: &Front,
    caller: &Caller,
    mxc: Mxc,
    spec: ThumbnailSpec,
) -> Result<Thumbnail, ApiError> {
    // A larger one is not kept in memory, and is left to the thumbnailer as one that is missing.
    if let Some(form) = spec.stored_form()
        && let key = thumbnail_key(&mxc, &form)
        && let Ok(Some((_, image))) = deliver::find_small(front, &key, front.config.hot_file_bytes.as_u64()).await
        && let Some(content_type) = picture_type(&image)
    {
        return Ok(Thumbnail { content_type, image });
    }
    front.limits.render(caller).await?;
    Ok(front.thumbnails.render(Render { mxc, spec }).await?)
}

/// Thumbnails are stored without their type: their first bytes tell it.
pub(crate) fn picture_type(image: &[u8]) -> Option<ContentType> {
    infer::get(image).and_then(|kind| kind.mime_type().parse().ok())
}
