//! What lets web clients of any origin read our answers (Client-Server API: CORS).

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};

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

/// Answers preflights, and puts the CORS headers on every answer.
pub async fn cors(
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
pub fn allow_origins(headers: &mut HeaderMap) {
    for (name, value) in CORS {
        headers.insert(name, value);
    }
}
