//! Headers that many answers share (Client-Server API: serving content).

use actix_web::{
    HttpResponseBuilder,
    http::header::{self, HeaderName},
};

const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How long, and by whom, an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Content that was given to one user.
    Private,
    /// Content that anyone may have.
    Public,
    /// Content that was given to another server.
    Never,
    /// Content that whoever has its URL may have until the URL ends.
    Shared { seconds: u64 },
    /// The way to content, for the one who asked.
    Redirect { seconds: u64 },
}

impl Caching {
    pub(crate) fn cache_control(self) -> String {
        match self {
            Self::Private => "private, max-age=86400, immutable".to_owned(),
            Self::Public => "public, max-age=86400, s-maxage=0, proxy-revalidate".to_owned(),
            Self::Never => "private, no-store".to_owned(),
            Self::Shared { seconds } => format!("public, max-age={seconds}"),
            Self::Redirect { seconds } => format!("private, max-age={seconds}"),
        }
    }
}

/// The headers that every answer with content has, whole, in part or not modified.
pub(crate) fn of_content(answer: &mut HttpResponseBuilder, caching: Caching) {
    answer
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CORP, "cross-origin"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("x-robots-tag", "noindex, nofollow, noarchive, noimageindex"))
        .insert_header((header::CACHE_CONTROL, caching.cache_control()));
    if matches!(caching, Caching::Private | Caching::Redirect { .. }) {
        answer.insert_header((header::VARY, "Authorization"));
    }
}
