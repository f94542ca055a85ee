//! Uploads that ask before they send their body (`Expect: 100-continue`; RFC 9110, section
//! 10.1.1): who may not upload, or too much, is told so instead of being told to go on.
//!
//! The endpoint checks all of it again, and more; what it needs of this is remembered.

use actix_http::{Request, Response};
use actix_web::{
    HttpMessage, HttpResponse,
    body::BoxBody,
    http::{
        Method,
        header::{CONNECTION, HeaderValue},
    },
};

use heliograph_runtime::{allow_origins, declared_bytes};

use crate::{auth, error::ApiError, params::Query, receive, server::Front};

/// The request, if its body is welcome.
pub(crate) async fn admit(front: &Front, request: Request) -> Result<Request, Response<BoxBody>> {
    match check(front, &request).await {
        Ok(()) => Ok(request),
        Err(error) => Err(refuse(error)),
    }
}

async fn check(front: &Front, request: &Request) -> Result<(), ApiError> {
    let is_upload = matches!(*request.method(), Method::POST | Method::PUT)
        && (request.path().ends_with("/upload") || request.path().contains("/upload/"));
    if !is_upload {
        return Ok(());
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    auth::user_who_shows(front, request.headers(), &query).await?;
    match declared_bytes(request.headers()) {
        Some(bytes) if bytes > front.max_upload_bytes => Err(receive::too_large(front.max_upload_bytes)),
        _ => Ok(()),
    }
}

/// The connection ends: whether the client sends its body all the same, nobody knows.
fn refuse(error: ApiError) -> Response<BoxBody> {
    let mut answer = HttpResponse::from_error(error);
    allow_origins(answer.headers_mut());
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer.into()
}
