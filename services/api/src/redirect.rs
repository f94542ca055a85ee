//! Sending those who download to where the bytes are (MSC3860, MSC3916).
//!
//! Decides who is sent where; the targets make the URLs. Whoever may not be sent anywhere gets
//! the bytes: that is never an error. What may not be had at all is sorted out before.

mod cdn;
mod config;
mod elsewhere;
mod own;
mod store;
mod target;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{AUTHORIZATION, LOCATION, USER_AGENT},
    },
};
use bytes::Bytes;
use heliograph_blobs::{BlobStore, Key};
use heliograph_catalog::MediaRecord;
use heliograph_types::{FileName, Mxc, ThumbnailVariant, Timestamp};
use url::Url;
use wildmatch::WildMatch;

use crate::{
    deliver, disposition,
    headers::{self, Caching},
    http::thumbnail::stored_key,
    metrics,
    params::Query,
    picture::Picture,
    server::Front,
};

pub use config::{CdnOrigin, CdnSignature, Encoding, RedirectTo, RedirectsConfig};
pub(crate) use elsewhere::{Wanted, to_origin};
pub(crate) use own::{UrlSigner, media_path, thumbnail_path};
pub(crate) use target::Who;
use target::{Asking, Life, Part, Reason, Redirected, Target};

/// A longer one does not get through everywhere.
const MOST_URL_BYTES: usize = 4096;

/// Who asks, and whether that request may be answered with a redirect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) who: Who,
    pub(crate) allows: bool,
}

impl Wish {
    /// With a token: clients cope with redirects, unless they say otherwise.
    pub(crate) fn of_client(query: &Query<'_>) -> Self {
        Self { who: Who::Client, allows: !says(query, "false") }
    }

    /// On a deprecated path: only who says so copes.
    pub(crate) fn of_legacy(query: &Query<'_>) -> Self {
        Self { who: Who::Legacy, allows: says(query, "true") }
    }

    /// Another server, which is told a place and never sent there.
    pub(crate) const fn of_server() -> Self {
        Self { who: Who::Server, allows: true }
    }

    /// The same request, which is to get the bytes from us.
    pub(crate) const fn but_never(self) -> Self {
        Self { allows: false, ..self }
    }
}

fn says(query: &Query<'_>, word: &str) -> bool {
    ["allow_redirect", "com.beeper.msc3860.allow_redirect"].iter().any(|name| query.find(&[name]) == Some(word))
}

/// Everything that redirects are made of.
pub(crate) struct Redirects {
    config: RedirectsConfig,
    keeps_authorization: Vec<WildMatch>,
    own: Option<Arc<UrlSigner>>,
    /// The first that takes a request gets it.
    targets: Vec<Box<dyn Target>>,
}

impl Redirects {
    pub(crate) fn new(config: RedirectsConfig, blobs: &Arc<dyn BlobStore>) -> Result<Self, String> {
        let own = UrlSigner::new(&config).map(Arc::new);
        let targets = build_targets(&config, own.as_ref(), blobs)?;
        let keeps_authorization = config.keeps_authorization.iter().map(|pattern| WildMatch::new(pattern)).collect();
        Ok(Self { config, keeps_authorization, own, targets })
    }

    /// Whether everybody gets the bytes.
    pub(crate) fn are_off(&self) -> bool {
        self.targets.is_empty()
    }

    /// Who knows our own URLs, if there are any.
    pub(crate) fn signer(&self) -> Option<&UrlSigner> {
        self.own.as_deref()
    }

    /// How long a redirect may be followed again: the URL is then good for as long as a slow
    /// client needs.
    const fn fresh_seconds(&self) -> u64 {
        self.config.lifetime.as_secs() / 4
    }

    fn asking(&self, request: &HttpRequest, who: Who) -> Asking {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let resends =
            || header(USER_AGENT).is_some_and(|name| self.keeps_authorization.iter().any(|kind| kind.matches(name)));
        let sends_authorization = match who {
            // It asks for a place that it is told without anything that proves who it is.
            Who::Server => false,
            Who::Legacy => request.headers().contains_key(AUTHORIZATION) || resends(),
            Who::Client => resends(),
        };
        Asking { is_head: request.method() == Method::HEAD, sends_authorization }
    }

    /// Why nothing of this kind is redirected for this caller, if so.
    fn refusal(&self, wish: Wish, is_thumbnail: bool, size_bytes: u64) -> Option<Reason> {
        let is_on = match wish.who {
            Who::Client => self.config.clients,
            Who::Legacy => self.config.legacy,
            Who::Server => self.config.servers,
        };
        if !is_on || (is_thumbnail && !self.config.thumbnails) {
            return Some(Reason::SwitchedOff);
        }
        if !wish.allows {
            return Some(Reason::NotAsked);
        }
        (size_bytes < self.config.min_bytes.as_u64()).then_some(Reason::Small)
    }

    /// The URL of the first target that takes the request.
    async fn find(&self, asking: Asking, what: &Redirected<'_>, now: Timestamp) -> Result<Url, Reason> {
        let life = Life { now, lifetime: self.config.lifetime };
        let mut last = Reason::NoUrl;
        for target in &self.targets {
            match try_target(&**target, asking, what, life).await {
                Ok(url) => {
                    metrics::redirected(target.name());
                    return Ok(url);
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// Where to send whoever asks; `None` if he is to get the bytes.
    async fn place(&self, front: &Front, request: &HttpRequest, wish: Wish, what: &Redirected<'_>) -> Option<Url> {
        if self.are_off() {
            return None;
        }
        let is_thumbnail = matches!(what.part, Part::Thumbnail(_));
        let found = match self.refusal(wish, is_thumbnail, what.size_bytes) {
            Some(reason) => Err(reason),
            None => self.find(self.asking(request, wish.who), what, front.clock.now()).await,
        };
        found.inspect_err(|reason| metrics::not_redirected(reason.label())).ok()
    }
}

fn build_targets(
    config: &RedirectsConfig,
    own: Option<&Arc<UrlSigner>>,
    blobs: &Arc<dyn BlobStore>,
) -> Result<Vec<Box<dyn Target>>, String> {
    let own_target = || own.map(|own| Box::new(own::Own(Arc::clone(own))) as Box<dyn Target>);
    let bucket = || store::Store { blobs: Arc::clone(blobs), is_guarded: config.guarded_store };
    Ok(match config.to {
        RedirectTo::Off => Vec::new(),
        RedirectTo::Own => own_target().into_iter().collect(),
        RedirectTo::Store => {
            let bucket: Box<dyn Target> = Box::new(bucket());
            std::iter::once(bucket).chain(own_target()).collect()
        }
        RedirectTo::Cdn => {
            let cdn = cdn::Cdn::new(config, own.cloned())?;
            cdn.map(|cdn| Box::new(cdn) as Box<dyn Target>).into_iter().collect()
        }
    })
}

async fn try_target(target: &dyn Target, asking: Asking, what: &Redirected<'_>, life: Life) -> Result<Url, Reason> {
    if let Some(reason) = target.refusal(asking, what) {
        return Err(reason);
    }
    let url = target.url(what, life).await.map_err(|error| {
        tracing::warn!(%error, target = target.name(), "a URL could not be signed: the bytes are sent");
        Reason::Failed
    })?;
    url.ok_or(Reason::NoUrl)
        .and_then(|url| if url.as_str().len() > MOST_URL_BYTES { Err(Reason::TooLong) } else { Ok(url) })
}

/// The redirect to a medium that is here and may be had; `None` if the bytes are to be sent.
pub(crate) async fn content(
    front: &Front,
    request: &HttpRequest,
    wish: Wish,
    record: &MediaRecord,
    name: Option<&FileName>,
) -> Option<HttpResponse> {
    // Who has it already is told so.
    if front.redirects.are_off() || deliver::is_current(request, record) {
        return None;
    }
    let url = place_of_content(front, request, wish, record, name).await?;
    Some(answer(&url, front.redirects.fresh_seconds()))
}

/// Where another server can fetch a medium; `None` if the bytes are to be sent.
pub(crate) async fn location(front: &Front, request: &HttpRequest, record: &MediaRecord) -> Option<Url> {
    if front.redirects.are_off() {
        return None;
    }
    place_of_content(front, request, Wish::of_server(), record, None).await
}

async fn place_of_content(
    front: &Front,
    request: &HttpRequest,
    wish: Wish,
    record: &MediaRecord,
    name: Option<&FileName>,
) -> Option<Url> {
    let disposition = disposition::of_content(&front.config, &record.content_type, name.or(record.file_name.as_ref()));
    let what = Redirected {
        mxc: &record.mxc,
        part: Part::File(name),
        key: record.blob_key().ok(),
        size_bytes: record.size_bytes,
        content_type: record.content_type.as_str(),
        disposition: &disposition,
    };
    front.redirects.place(front, request, wish, &what).await
}

/// The redirect to a finished thumbnail; `None` if it is to be sent itself.
pub(crate) async fn picture(
    front: &Front,
    request: &HttpRequest,
    wish: Wish,
    (mxc, variant): (&Mxc, ThumbnailVariant),
    thumbnail: &Picture,
) -> Option<HttpResponse> {
    if front.redirects.are_off() || deliver::is_current_picture(request, thumbnail) {
        return None;
    }
    let url = place_of_picture(front, request, wish, (mxc, variant), thumbnail).await?;
    Some(answer(&url, front.redirects.fresh_seconds()))
}

/// Where a finished thumbnail is; `None` if it is to be sent itself.
pub(crate) async fn place_of_picture(
    front: &Front,
    request: &HttpRequest,
    wish: Wish,
    (mxc, variant): (&Mxc, ThumbnailVariant),
    thumbnail: &Picture,
) -> Option<Url> {
    let size_bytes = thumbnail.image.len() as u64;
    let what = Redirected {
        mxc,
        part: Part::Thumbnail(variant),
        key: find_stored(front, wish, (mxc, variant), size_bytes).await,
        size_bytes,
        content_type: thumbnail.content_type.as_str(),
        disposition: thumbnail.disposition(),
    };
    front.redirects.place(front, request, wish, &what).await
}

/// The key of a thumbnail, if the store is to be asked for it and has it.
async fn find_stored(
    front: &Front,
    wish: Wish,
    (mxc, variant): (&Mxc, ThumbnailVariant),
    size_bytes: u64,
) -> Option<Key> {
    let redirects = &front.redirects;
    if !redirects.config.sends_to_bucket() || redirects.refusal(wish, true, size_bytes).is_some() {
        return None;
    }
    let key = stored_key(front, mxc, variant)?;
    let stored_bytes = front.blobs.size_of(&key).await.ok()?;
    (stored_bytes == size_bytes).then_some(key)
}

/// 307, because the URL ends. It may be followed again for `fresh_seconds`.
fn answer(url: &Url, fresh_seconds: u64) -> HttpResponse {
    let mut answer = HttpResponse::TemporaryRedirect();
    headers::of_content(&mut answer, Caching::Redirect { seconds: fresh_seconds });
    // A body of no bytes, so that its length is told.
    answer.insert_header((LOCATION, url.as_str())).body(Bytes::new())
}

#[cfg(test)]
mod tests;
