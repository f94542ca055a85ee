//! Headers that many answers share (Client-Server API: CORS, serving content).

use actix_web::{
    Error, HttpResponse, HttpResponseBuilder,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};

const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const CORS: [(HeaderName, HeaderValue); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization, Range, If-None-Match, If-Range"),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Content-Disposition, Content-Length, Content-Range, Accept-Ranges, ETag, Retry-After",
        ),
    ),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
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

/// Answers preflights, and puts the CORS headers on every answer.
pub(crate) async fn cors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut answer = if request.method() == Method::OPTIONS {
        request.into_response(HttpResponse::Ok().finish()).map_into_boxed_body()
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    allow_origins(answer.headers_mut());
    Ok(answer)
}

/// Puts the CORS headers on an answer.
pub(crate) fn allow_origins(headers: &mut HeaderMap) {
    for (name, value) in CORS {
        headers.insert(name, value);
    }
}
