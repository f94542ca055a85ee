//! `GET /_heliograph/media/{serverName}/{mediaId}[/{fileName}]?expires=…&signature=…`
//!
//! `GET /_heliograph/thumbnail/{serverName}/{mediaId}/{variant}?expires=…&signature=…`
//!
//! Where redirects lead (`redirects.to`). Whoever has such a URL may have the medium until then,
//! without a token, and whatever `Authorization` says. The record is looked at each time: what is
//! deleted or quarantined is gone here at once.

use std::sync::Arc;

use heliograph_catalog::MediaRecord;
use heliograph_types::{ErrorCode, Failure, FileName, Mxc, ThumbnailVariant, Timestamp};

use crate::{
    address, deliver,
    error::ApiError,
    headers::Caching,
    http::{download, thumbnail},
    limits::Caller,
    params::{self, Query},
    redirect,
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle_media(Call { front, request, .. }: Call<'_>) -> Outcome {
    let mxc = params::mxc(request)?;
    let name = params::text_segment(request, "file_name").and_then(|name| FileName::new(&name));
    let caching = admit(front, &Query::of(request), &redirect::media_path(&mxc, name.as_ref()))?;
    let record = get(front, &mxc).await?;
    deliver::stored(front, request, &record, name.as_ref(), caching).await
}

pub(crate) async fn handle_thumbnail(Call { front, request, .. }: Call<'_>) -> Outcome {
    let mxc = params::mxc(request)?;
    let variant: ThumbnailVariant = params::segment(request, "variant")?;
    let caching = admit(front, &Query::of(request), &redirect::thumbnail_path(&mxc, variant))?;
    get(front, &mxc).await?;
    let caller = Caller::Address(address::of(front, request));
    let thumbnail = thumbnail::stored_or_rendered(front, &caller, mxc, variant).await?;
    Ok(deliver::picture(request, &thumbnail, caching))
}

/// Whether the URL is one of ours and has not ended: then anybody may keep the answer until it
/// does.
fn admit(front: &Front, query: &Query<'_>, path: &str) -> Result<Caching, ApiError> {
    let Some(signer) = front.redirects.signer() else {
        return Err(ApiError::new(ErrorCode::Unrecognized, "no such endpoint"));
    };
    let expires = query.find(&["expires"]).and_then(|expires| expires.parse::<u64>().ok()).unwrap_or_default();
    if !signer.is_ours(path, expires, query.find(&["signature"]).unwrap_or_default()) {
        return Err(ApiError::new(ErrorCode::Forbidden, "the signature is wrong"));
    }
    let left = Timestamp::from_millis(expires.saturating_mul(1000)).since(front.clock.now());
    if left.is_zero() {
        return Err(ApiError::new(ErrorCode::Forbidden, "the URL has expired"));
    }
    Ok(Caching::Shared { seconds: left.as_secs() })
}

/// What is here and may be had.
async fn get(front: &Front, mxc: &Mxc) -> Result<Arc<MediaRecord>, ApiError> {
    let record = front.catalog.find(mxc).await?.ok_or_else(Failure::not_found)?;
    download::check_wanted(front, &record, false)?;
    front.reads.follow(&record)();
    Ok(record)
}
