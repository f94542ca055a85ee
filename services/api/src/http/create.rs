//! `POST /_matrix/media/v1/create` (MSC2246, MSC3870)
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixmediav1create>

use std::sync::Arc;

use actix_web::{HttpResponse, web::Payload};
use heliograph_matrix::Requester;
use heliograph_proto::Reserve;
use heliograph_types::ErrorCode;
use serde_json::{Map, Value, json};

use crate::{
    auth,
    error::ApiError,
    limits::Caller,
    params,
    routes::{Call, Outcome},
    server::Front,
};

/// The proposal names its members so, and by the number of another one; clients read the first.
const DIRECT_PREFIXES: [&str; 3] = ["com.beeper.msc3870.", "com.beeper.msc3880.", ""];
/// No client has anything to say here.
const MOST_BODY_BYTES: usize = 64 << 10;

pub(crate) async fn handle(Call { front, request, body }: Call<'_>, requester: Requester) -> Outcome {
    auth::not_suspended(front, &requester).await?;
    front.limits.create(&Caller::of(front, request, &requester)).await?;
    check_body(front, body).await?;
    let store = params::store(request)?;
    let reserve = Reserve { server_name: requester.user_id.server_name(), uploader: requester.user_id, store };
    // Given up half-way, it would cost the user a place for an id that nobody knows.
    let uploads = Arc::clone(&front.uploads);
    let reservation = front.work.run_to_the_end(async move { uploads.reserve(reserve).await }).await?;
    let mut answer = json!({
        "content_uri": reservation.mxc.to_string(),
        "unused_expires_at": reservation.unused_expires_at.as_millis(),
    });
    if let Some(upload_url) = reservation.upload_url {
        for prefix in DIRECT_PREFIXES {
            answer[format!("{prefix}upload_url")] = upload_url.as_str().into();
            answer[format!("{prefix}upload_method")] = "PUT".into();
        }
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// Nothing, or a JSON object whose members are ignored.
pub(crate) async fn check_body(front: &Front, body: &mut Payload) -> Result<(), ApiError> {
    let not_json = || ApiError::new(ErrorCode::NotJson, "the body must be empty or a JSON object");
    let body = read(front, body).await?;
    let is_object = body.is_empty() || serde_json::from_slice::<Map<String, Value>>(&body).is_ok();
    if is_object { Ok(()) } else { Err(not_json()) }
}

pub(crate) async fn read(front: &Front, body: &mut Payload) -> Result<Vec<u8>, ApiError> {
    let mut whole = Vec::new();
    while let Some(piece) = crate::receive::next_piece(front, body).await? {
        if whole.len() + piece.len() > MOST_BODY_BYTES {
            return Err(ApiError::new(ErrorCode::TooLarge, "the body is larger than 64 KiB"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}
