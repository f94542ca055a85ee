//! `POST /_matrix/media/v1/create` (MSC2246)
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixmediav1create>

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use heliograph_proto::Reserve;
use heliograph_types::ErrorCode;
use serde_json::{Map, Value, json};

use crate::{auth, error::ApiError, server::Front};

/// No client has anything to say here.
const MOST_BODY_BYTES: usize = 64 << 10;

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest, body: Payload) -> Result<HttpResponse, ApiError> {
    let requester = auth::user(&front, &request).await?;
    check_body(&front, body).await?;
    let reserve = Reserve { server_name: requester.user_id.server_name(), uploader: requester.user_id };
    // Given up half-way, it would cost the user a place for an id that nobody knows.
    let uploads = Arc::clone(&front.uploads);
    let reservation = front.work.run_to_the_end(async move { uploads.reserve(reserve).await }).await?;
    Ok(HttpResponse::Ok().json(json!({
        "content_uri": reservation.mxc.to_string(),
        "unused_expires_at": reservation.unused_expires_at.as_millis(),
    })))
}

/// Nothing, or a JSON object whose members are ignored.
async fn check_body(front: &Front, body: Payload) -> Result<(), ApiError> {
    let not_json = || ApiError::new(ErrorCode::NotJson, "the body must be empty or a JSON object");
    let body = tokio::time::timeout(front.config.body_timeout, body.to_bytes_limited(MOST_BODY_BYTES)).await;
    let body = body.map_err(|_| ApiError::new(ErrorCode::RequestTimeout, "the body stopped arriving"))?;
    let body = body.map_err(|_| ApiError::new(ErrorCode::TooLarge, "the body is larger than 64 KiB"))?;
    let body = body.map_err(|_| ApiError::new(ErrorCode::RequestTimeout, "the body broke off"))?;
    let is_object = body.is_empty() || serde_json::from_slice::<Map<String, Value>>(&body).is_ok();
    if is_object { Ok(()) } else { Err(not_json()) }
}
