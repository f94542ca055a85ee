//! Errors as clients see them: JSON with `errcode` and `error`, and the right status.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
};
use bytes::Bytes;
use heliograph_blobs::BlobError;
use heliograph_catalog::CatalogError;
use heliograph_types::{AccountLimit, ErrorCode, Failure};
use serde_json::json;

/// What a handler answers if it cannot do what was asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Our own words.
    Failure(Failure),
    /// The words of the homeserver, passed on as they are: they can hold what only it knows
    /// (`soft_logout`, a locked account).
    Homeserver { status: StatusCode, body: Bytes, retry_after: Option<Duration> },
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Failure(Failure::new(code, message))
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Failure(failure) if failure.code == ErrorCode::NotFound)
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Failure(error.into())
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        tracing::error!(%error, "the catalog failed");
        Self::Failure(error.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => write!(f, "{:?}: {failure}", failure.code),
            Self::Homeserver { status, .. } => write!(f, "the homeserver answered {status}"),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => http_form(failure.code).0,
            Self::Homeserver { status, .. } => *status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Failure(failure) => from_failure(failure),
            Self::Homeserver { status, body, retry_after } => {
                let mut answer = begin(*status, *retry_after);
                answer.insert_header((CONTENT_TYPE, "application/json")).body(body.clone())
            }
        }
    }
}

fn from_failure(failure: &Failure) -> HttpResponse {
    let (status, errcode) = http_form(failure.code);
    let mut body = json!({ "errcode": errcode, "error": failure.message });
    if let (ErrorCode::LimitExceeded, Some(span)) = (failure.code, failure.retry_after) {
        body["retry_after_ms"] = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).into();
    }
    // MSC4335.
    if let Some(AccountLimit { info_uri, can_upgrade }) = &failure.account_limit {
        body["info_uri"] = info_uri.as_str().into();
        body["can_upgrade"] = (*can_upgrade).into();
    }
    begin(status, failure.retry_after).json(body)
}

fn begin(status: StatusCode, retry_after: Option<Duration>) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(span) = retry_after {
        let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        answer.insert_header((RETRY_AFTER, seconds.max(1)));
    }
    answer
}

/// Each code's HTTP status and Matrix `errcode`.
const fn http_form(code: ErrorCode) -> (StatusCode, &'static str) {
    match code {
        ErrorCode::MissingParam => (StatusCode::BAD_REQUEST, "M_MISSING_PARAM"),
        ErrorCode::InvalidParam => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
        ErrorCode::CannotThumbnail => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
        ErrorCode::NotJson => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
        ErrorCode::NothingUploaded => (StatusCode::BAD_REQUEST, "M_NOT_YET_UPLOADED"),
        ErrorCode::MissingToken => (StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN"),
        ErrorCode::UnknownToken => (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
        ErrorCode::Unauthorized => (StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED"),
        ErrorCode::Forbidden => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        ErrorCode::GuestAccessForbidden => (StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN"),
        ErrorCode::UserLimitExceeded => (StatusCode::FORBIDDEN, "M_USER_LIMIT_EXCEEDED"),
        ErrorCode::UserSuspended => (StatusCode::FORBIDDEN, "M_USER_SUSPENDED"),
        ErrorCode::NotFound => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
        ErrorCode::Unrecognized => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
        ErrorCode::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
        ErrorCode::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN"),
        ErrorCode::CannotOverwriteMedia => (StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA"),
        ErrorCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
        ErrorCode::RangeNotSatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, "M_UNKNOWN"),
        ErrorCode::LimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED"),
        ErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN"),
        ErrorCode::BadGateway => (StatusCode::BAD_GATEWAY, "M_UNKNOWN"),
        ErrorCode::RemoteTooLarge => (StatusCode::BAD_GATEWAY, "M_TOO_LARGE"),
        ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
        ErrorCode::NotYetUploaded => (StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED"),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_limit_tells_when_to_come_again_in_both_forms() {
        let failure = Failure::saturated("slow down", Duration::from_millis(1200));

        let answer = ApiError::from(failure).error_response();

        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes), Some(&b"2"[..]));
    }

    #[test]
    fn a_missing_medium_is_not_an_unknown_endpoint() {
        assert_eq!(http_form(ErrorCode::NotFound).1, "M_NOT_FOUND");
        assert_eq!(http_form(ErrorCode::Unrecognized).1, "M_UNRECOGNIZED");
    }
}
