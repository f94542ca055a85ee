//! What an edge itself has to say when something goes wrong. All else is the core's to say.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header::CACHE_CONTROL},
};
use serde_json::json;

/// Why the edge could not do its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EdgeError {
    /// No such path, or one that cannot be passed on as it is.
    Unrecognized,
    /// The body of an upload broke off or stood still.
    BrokenBody,
    /// Another upload fills the id.
    Overtaken,
    /// More than the core takes.
    TooLarge(u64),
    /// The core, or the bucket, is out of reach or answers nonsense.
    BadGateway,
}

impl EdgeError {
    const fn status(self) -> StatusCode {
        match self {
            Self::Unrecognized => StatusCode::NOT_FOUND,
            Self::BrokenBody => StatusCode::REQUEST_TIMEOUT,
            Self::Overtaken => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
        }
    }

    const fn errcode(self) -> &'static str {
        match self {
            Self::Unrecognized => "M_UNRECOGNIZED",
            Self::BrokenBody | Self::BadGateway => "M_UNKNOWN",
            Self::Overtaken => "M_CANNOT_OVERWRITE_MEDIA",
            Self::TooLarge(_) => "M_TOO_LARGE",
        }
    }
}

impl std::fmt::Display for EdgeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unrecognized => f.write_str("no such endpoint"),
            Self::BrokenBody => f.write_str("the body broke off or stopped arriving"),
            Self::Overtaken => f.write_str("another upload fills this id"),
            Self::TooLarge(most_bytes) => write!(f, "the upload is larger than {most_bytes} bytes"),
            Self::BadGateway => f.write_str("the media repository is out of reach"),
        }
    }
}

impl ResponseError for EdgeError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let body = json!({ "errcode": self.errcode(), "error": self.to_string() });
        HttpResponse::build(self.status()).insert_header((CACHE_CONTROL, "no-store")).json(body)
    }
}
