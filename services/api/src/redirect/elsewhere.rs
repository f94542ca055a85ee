//! Media of other servers when nothing of them is taken in (`federation.remote_media`): who
//! copes with a redirect is sent to their server, and nobody else gets them.

use std::time::Duration;

use actix_web::HttpResponse;
use heliograph_types::{ErrorCode, Failure, FileName, Mxc, ThumbnailSpec};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::{
    answer,
    own::{ENCODED, below},
};
use crate::{error::ApiError, metrics};

/// Where a server is found does not change often.
const FRESH_SECONDS: u64 = 60;

/// What is wanted of the other server.
pub(crate) enum Wanted<'a> {
    File(Option<&'a FileName>),
    Thumbnail(ThumbnailSpec),
}

/// The redirect to the deprecated path of the server whose medium it is, at `base`. That server
/// asks no third one, and may redirect in turn.
pub(crate) fn to_origin(base: &Url, mxc: &Mxc, wanted: &Wanted<'_>, wait: Duration) -> Result<HttpResponse, ApiError> {
    let target = target(mxc, wanted, wait);
    let nowhere = || Failure::new(ErrorCode::BadGateway, "the other server cannot be reached under its name");
    let url = below(base, &target).ok_or_else(nowhere)?;
    metrics::redirected("origin");
    Ok(answer(&url, FRESH_SECONDS))
}

fn target(Mxc { server_name, media_id }: &Mxc, wanted: &Wanted<'_>, wait: Duration) -> String {
    let place = format!("{}/{media_id}", utf8_percent_encode(server_name.as_str(), ENCODED));
    let common = format!("allow_remote=false&allow_redirect=true&timeout_ms={}", wait.as_millis());
    match wanted {
        Wanted::File(None) => format!("/_matrix/media/v3/download/{place}?{common}"),
        Wanted::File(Some(name)) => {
            let name = utf8_percent_encode(name.as_str(), ENCODED);
            format!("/_matrix/media/v3/download/{place}/{name}?{common}")
        }
        Wanted::Thumbnail(ThumbnailSpec { width, height, method, animated }) => format!(
            "/_matrix/media/v3/thumbnail/{place}?width={width}&height={height}&method={method}&animated={animated}&{common}"
        ),
    }
}
