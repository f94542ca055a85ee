//! Where somebody can be sent, and what there is to know of it.

use std::time::Duration;

use async_trait::async_trait;
use heliograph_blobs::{BlobError, Key};
use heliograph_types::{FileName, Mxc, ThumbnailVariant, Timestamp};
use url::Url;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Somebody with a token.
    Client,
    /// Somebody on a deprecated path.
    Legacy,
    /// Another server.
    Server,
}

/// What matters of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) is_head: bool,
    /// Whether the target is going to see a token or a signature.
    pub(super) sends_authorization: bool,
}

/// What is wanted of a medium.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// All of it, by another name if there is one.
    File(Option<&'a FileName>),
    /// A thumbnail.
    Thumbnail(ThumbnailVariant),
}

/// What somebody is sent to.
#[derive(Debug, Clone)]
pub(super) struct Redirected<'a> {
    pub(super) mxc: &'a Mxc,
    pub(super) part: Part<'a>,
    /// Where the store has it.
    pub(super) key: Option<Key>,
    pub(super) size_bytes: u64,
    pub(super) content_type: &'a str,
    pub(super) disposition: &'a str,
}

impl Redirected<'_> {
    /// Whether a browser shows it by itself, which our headers make harmless.
    pub(super) fn is_shown(&self) -> bool {
        self.disposition.starts_with("inline")
    }
}

/// Why somebody is not redirected, or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The request does not want it, or does not say that it does.
    NotAsked,
    /// The settings do not want it for this caller, or for thumbnails.
    SwitchedOff,
    /// It is too small to be worth it.
    Small,
    /// The target would see an `Authorization` header, and refuse it.
    Authorization,
    /// The target does not send the headers that make it harmless.
    Shown,
    /// The URL would be good for `GET` alone.
    Head,
    /// The name cannot stand in a path.
    Name,
    /// There is no such URL.
    NoUrl,
    /// The URL would be too long.
    TooLong,
    /// It could not be signed.
    Failed,
}

impl Reason {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::SwitchedOff => "switched_off",
            Self::Small => "small",
            Self::Authorization => "authorization",
            Self::Shown => "shown",
            Self::Head => "head",
            Self::Name => "name",
            Self::NoUrl => "no_url",
            Self::TooLong => "too_long",
            Self::Failed => "failed",
        }
    }
}

/// How long a URL is good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) now: Timestamp,
    pub(super) lifetime: Duration,
}

impl Life {
    /// When it ends, in seconds since 1970: in one lifetime at least, in two at most, at a time
    /// that stays the same for one, so that caches see the same URL again.
    pub(super) fn expires(self) -> u64 {
        let step = self.lifetime.as_secs().max(1);
        (self.now.as_millis() / 1000 / step + 2) * step
    }
}

/// One place where somebody can be sent.
#[async_trait]
pub(super) trait Target: Send + Sync {
    /// What it is called in metrics.
    fn name(&self) -> &'static str;

    /// Why this request cannot go there, if it cannot.
    fn refusal(&self, asking: Asking, what: &Redirected<'_>) -> Option<Reason>;

    /// The URL; `None` if there is none.
    async fn url(&self, what: &Redirected<'_>, life: Life) -> Result<Option<Url>, BlobError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_lives_for_one_to_two_lives_and_stays_the_same_for_one() {
        let lifetime = Duration::from_mins(5);
        let expires = |seconds: u64| Life { now: Timestamp::from_millis(seconds * 1000 + 999), lifetime }.expires();

        assert_eq!(expires(600), 1200);
        assert_eq!(expires(899), 1200);
        assert_eq!(expires(900), 1500);
        for now in 600..1300 {
            assert!((300..=600).contains(&(expires(now) - now)), "{now}");
        }
    }
}
