//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>
//!
//! And the same without authentication under `/_matrix/media`.

use std::{sync::Arc, time::Duration};

use actix_web::HttpRequest;
use heliograph_blobs::Key;
use heliograph_catalog::thumbnail_key;
use heliograph_matrix::Requester;
use heliograph_proto::Render;
use heliograph_types::{ErrorCode, Mxc, ThumbnailMethod, ThumbnailSpec, ThumbnailVariant};

use crate::{
    deliver,
    error::ApiError,
    formats,
    http::download::{self, Asked},
    limits::Caller,
    meters::Via,
    params::{self, Query},
    picture::Picture,
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
    let variant = ThumbnailVariant { spec, format: formats::negotiate(front, request) };
    let answer = find_and_send(front, request, asked, (mxc, variant, wait)).await?;
    Ok(formats::tell_caches(front, answer))
}

async fn find_and_send(
    front: &Front,
    request: &HttpRequest,
    asked: Asked,
    (mxc, variant, wait): (Mxc, ThumbnailVariant, Duration),
) -> Outcome {
    let mut source = remote_thumbnail::find(front, &mxc, &asked, (variant, wait)).await?;
    let mut may_try_again = !front.is_ours(&mxc.server_name);
    let thumbnail = loop {
        match source {
            Source::Original => {}
            Source::Origin(thumbnail) => return Ok(deliver::picture(request, &thumbnail.into(), asked.caching)),
            Source::Elsewhere(base) => return redirect::to_origin(&base, &mxc, &Wanted::Thumbnail(variant.spec), wait),
        }
        match stored_or_rendered(front, &asked.caller, mxc.clone(), variant).await {
            Err(error) if may_try_again && error.is_not_found() => {
                source = remote_thumbnail::find_again(front, &mxc, &asked, (variant, wait)).await?;
                may_try_again = false;
            }
            thumbnail => break thumbnail?,
        }
    };
    if let Some(redirect) = redirect::picture(front, request, asked.wish, (&mxc, variant), &thumbnail).await {
        return Ok(redirect);
    }
    Ok(deliver::picture(request, &thumbnail, asked.caching))
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
    variant: ThumbnailVariant,
) -> Result<Arc<Picture>, ApiError> {
    // A larger one is not kept in memory, and is left to the thumbnailer as one that is missing.
    if let Some(key) = stored_key(front, &mxc, variant)
        && let Ok(Some((via, file))) = deliver::find_small(front, &key, front.config.hot_file_bytes.as_u64()).await
        && let Some(picture) = file.picture()
    {
        front.meters.delivered(&mxc.server_name, via, picture.image.len() as u64);
        return Ok(picture);
    }
    front.limits.render(caller).await?;
    let ThumbnailVariant { spec, format } = variant;
    let server_name = mxc.server_name.clone();
    let thumbnail = front.thumbnails.render(Render { mxc, spec, format }).await?;
    front.meters.delivered(&server_name, Via::Rendered, thumbnail.image.len() as u64);
    Ok(Arc::new(thumbnail.into()))
}

/// Where a thumbnail is, if it is stored.
pub(crate) fn stored_key(front: &Front, mxc: &Mxc, ThumbnailVariant { spec, format }: ThumbnailVariant) -> Option<Key> {
    Some(thumbnail_key(mxc, ThumbnailVariant { spec: front.sizes.stored_form(spec)?, format }))
}
