//! Uploads that ask before they send their body (`Expect: 100-continue`): who may not upload, or
//! too much, is told so instead of being told to go on.

use actix_http::{Request, Response};
use actix_web::{
    HttpMessage,
    body::BoxBody,
    http::{
        Method,
        header::{CONNECTION, HeaderValue},
    },
};
use heliograph_runtime::{allow_origins, declared_bytes};

use crate::{caller::Caller, server::Edge, upload::Refusal};

/// The request, if its body is welcome.
pub(crate) async fn admit(edge: &Edge, request: Request) -> Result<Request, Response<BoxBody>> {
    match check(edge, &request).await {
        Ok(()) => Ok(request),
        Err(refusal) => Err(refuse(&refusal)),
    }
}

async fn check(edge: &Edge, request: &Request) -> Result<(), Refusal> {
    let is_upload = matches!(*request.method(), Method::POST | Method::PUT)
        && (request.path().ends_with("/upload") || request.path().contains("/upload/"));
    if !is_upload {
        return Ok(());
    }
    let bytes = declared_bytes(request.headers()).unwrap_or_default();
    edge.sizes.check(edge, &Caller::of(edge, request.head()), bytes).await
}

/// The connection ends: whether the client sends its body all the same, nobody knows.
fn refuse(refusal: &Refusal) -> Response<BoxBody> {
    let mut answer = refusal.answer();
    allow_origins(answer.headers_mut());
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer.into()
}
