//! What a thumbnail is made of: the medium, wherever it is; or, if it is another server's and
//! large, the thumbnail that its server makes.
//!
//! That one is a stranger's picture: the thumbnailer makes it anew, so that type, size and
//! metadata are ours. There is no record that it belongs to, so it is not stored; the shared state
//! keeps it for a while.

use std::time::Duration;

use heliograph_proto::{FetchThumbnail, Remake, Thumbnail};
use heliograph_types::{ErrorCode, Failure, Mxc, ThumbnailMethod, ThumbnailVariant};
use url::Url;

use crate::{
    error::ApiError,
    http::download::{self, Asked, Found},
    meters::Via,
    picture::picture_type,
    server::Front,
};

/// The most that the shared state is given to keep.
const MOST_KEPT_BYTES: usize = 256 << 10;
/// For so long nobody notices that the origin would make another one now.
const KEEP: Duration = Duration::from_hours(1);

/// Where a thumbnail comes from.
pub(crate) enum Source {
    /// The original, which is here now.
    Original,
    /// The origin, which has made it.
    Origin(Thumbnail),
    /// The origin, which is found here; the caller is to go there.
    Elsewhere(Url),
}

/// Finds of what a thumbnail can be made, waiting for it as long as the caller wants.
pub(crate) async fn find(
    front: &Front,
    mxc: &Mxc,
    asked: &Asked,
    (variant, wait): (ThumbnailVariant, Duration),
) -> Result<Source, ApiError> {
    let known = if front.is_ours(&mxc.server_name) {
        Some(download::find(front, mxc, asked, wait).await?)
    } else {
        download::find_known(front, mxc, asked).await?
    };
    match known {
        Some(Found::Stored(_)) => Ok(Source::Original),
        Some(Found::Arriving(media)) => download::await_copy(front, asked, media).await.map(|()| Source::Original),
        Some(Found::Elsewhere(base)) => Ok(Source::Elsewhere(base)),
        None => ask(front, mxc, asked, (variant, wait)).await,
    }
}

/// A copy went after its record was read: then it is looked for again.
pub(crate) async fn find_again(
    front: &Front,
    mxc: &Mxc,
    asked: &Asked,
    what: (ThumbnailVariant, Duration),
) -> Result<Source, ApiError> {
    front.catalog.forget(mxc);
    find(front, mxc, asked, what).await
}

/// Of what is not here: the original if it is small, else what its server makes of it.
async fn ask(
    front: &Front,
    mxc: &Mxc,
    asked: &Asked,
    (variant, wait): (ThumbnailVariant, Duration),
) -> Result<Source, ApiError> {
    match front.catalog.find_now(mxc).await? {
        Some(record) if record.deleted.is_some() => return Err(Failure::not_found().into()),
        // It has just come.
        Some(_) => return Ok(Source::Original),
        None => {}
    }
    if let Some(thumbnail) = find_kept(front, mxc, variant).await {
        return Ok(Source::Origin(thumbnail));
    }
    front.limits.fetch(&asked.caller).await?;
    match take_original(front, mxc, asked, wait, true).await {
        Err(error) if is_of(&error, &[ErrorCode::RemoteTooLarge]) => {}
        taken => return taken,
    }
    match ask_origin(front, mxc, asked, variant).await {
        Ok(thumbnail) => {
            keep(front, mxc, variant, &thumbnail).await;
            Ok(Source::Origin(thumbnail))
        }
        // Ours is the fault: the original would cost more.
        Err(error) if is_of(&error, &[ErrorCode::LimitExceeded, ErrorCode::Unavailable, ErrorCode::Internal]) => {
            Err(error)
        }
        Err(error) => {
            tracing::debug!(%mxc, %variant, %error, "the origin's thumbnail is no good");
            take_original(front, mxc, asked, wait, false).await
        }
    }
}

fn is_of(error: &ApiError, codes: &[ErrorCode]) -> bool {
    matches!(error, ApiError::Failure(failure) if codes.contains(&failure.code))
}

async fn take_original(
    front: &Front,
    mxc: &Mxc,
    asked: &Asked,
    wait: Duration,
    for_thumbnail: bool,
) -> Result<Source, ApiError> {
    let media = download::fetch(front, mxc, asked, wait, for_thumbnail).await?;
    download::await_copy(front, asked, media).await?;
    Ok(Source::Original)
}

async fn ask_origin(front: &Front, mxc: &Mxc, asked: &Asked, variant: ThumbnailVariant) -> Result<Thumbnail, ApiError> {
    let ThumbnailVariant { spec, format } = variant;
    // Few sizes are asked for: what is stored for all who ask alike.
    let form = front.sizes.stored_form(spec).unwrap_or(front.sizes.clamped(spec));
    let question = FetchThumbnail { tenant: asked.tenant.clone(), mxc: mxc.clone(), spec: form };
    let image = front.federation.fetch_thumbnail(question).await?;
    // How many bytes it would be, nobody knew: the next one is refused if these were too many.
    drop(front.limits.fetch_bytes(&asked.caller, image.len() as u64).await);
    front.limits.render(&asked.caller).await?;
    let thumbnail = front.thumbnails.remake(Remake { image, spec, format }).await?;
    front.meters.delivered(&mxc.server_name, Via::Origin, thumbnail.image.len() as u64);
    Ok(thumbnail)
}

/// A scaled one serves all who ask alike; whether a crop does, only who has seen the picture knows.
fn key_of(front: &Front, mxc: &Mxc, ThumbnailVariant { spec, format }: ThumbnailVariant) -> String {
    let (sizes, clamped) = (&front.sizes, front.sizes.clamped(spec));
    let spec = match spec.method {
        ThumbnailMethod::Scale => sizes.stored_form(spec).unwrap_or(clamped),
        ThumbnailMethod::Crop => clamped,
    };
    let kept = ThumbnailVariant { spec, format };
    format!("remote-thumbnails/{}/{}/{kept}", mxc.server_name, mxc.media_id)
}

async fn find_kept(front: &Front, mxc: &Mxc, variant: ThumbnailVariant) -> Option<Thumbnail> {
    let kept = front.state.find_cached(&key_of(front, mxc, variant)).await;
    let image = kept.inspect_err(|error| tracing::debug!(%error, "no thumbnail is kept")).ok().flatten()?;
    let thumbnail = Thumbnail { content_type: picture_type(&image)?, image };
    front.meters.delivered(&mxc.server_name, Via::Kept, thumbnail.image.len() as u64);
    Some(thumbnail)
}

async fn keep(front: &Front, mxc: &Mxc, variant: ThumbnailVariant, thumbnail: &Thumbnail) {
    if thumbnail.image.len() <= MOST_KEPT_BYTES
        && let Err(error) = front.state.cache(&key_of(front, mxc, variant), thumbnail.image.clone(), KEEP).await
    {
        tracing::debug!(%error, "a thumbnail is not kept");
    }
}
