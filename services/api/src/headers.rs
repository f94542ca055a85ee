//! Headers that many answers share (Client-Server API: serving content).

use actix_web::{
    HttpResponseBuilder,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";

/// They need no memory: nothing is copied when an answer gets them.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow, noarchive, noimageindex")),
];

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
    pub(crate) fn cache_control(self) -> HeaderValue {
        match self {
            Self::Private => HeaderValue::from_static("private, max-age=86400, immutable"),
            Self::Public => HeaderValue::from_static("public, max-age=86400, s-maxage=0, proxy-revalidate"),
            Self::Never => HeaderValue::from_static("private, no-store"),
            Self::Shared { seconds } => text(&format!("public, max-age={seconds}")),
            Self::Redirect { seconds } => text(&format!("private, max-age={seconds}")),
        }
    }
}

/// The headers that every answer with content has, whole, in part or not modified.
pub(crate) fn of_content(answer: &mut HttpResponseBuilder, caching: Caching) {
    for header in ALWAYS {
        answer.insert_header(header);
    }
    answer.insert_header((CACHE_CONTROL, caching.cache_control()));
    if matches!(caching, Caching::Private | Caching::Redirect { .. }) {
        answer.insert_header((VARY, HeaderValue::from_static("Authorization")));
    }
}

/// A value of which we know that it can stand in a header: it is of plain ASCII.
pub(crate) fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
