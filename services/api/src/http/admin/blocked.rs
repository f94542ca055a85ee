//! `GET`, `PUT` and `DELETE /_heliograph/admin/v1/blocked/{sha256}`
//!
//! The block list: content that neither comes in nor goes out, whatever medium it is of.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use heliograph_proto::Block;
use heliograph_types::{ErrorCode, Failure};
use serde_json::{Value, json};

use crate::{
    auth::{Administrator, Authority},
    error::ApiError,
    http::create,
    params,
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator)?;
    let found = front.catalog.find_blocked(&hex::encode(digest(request)?)).await?.ok_or_else(Failure::not_found)?;
    let (by, at, reason) = (found.by, found.at.as_millis(), found.reason);
    Ok(HttpResponse::Ok().json(json!({ "blocked_by": by, "blocked_ts": at, "reason": reason })))
}

pub(crate) async fn handle_put(Call { front, request, body }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator)?;
    let sha256 = digest(request)?;
    let reason = read_reason(front, body).await?;
    block(front, Block { sha256, is_blocked: true, moderator: administrator.user_id, reason }).await
}

pub(crate) async fn handle_delete(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator)?;
    let sha256 = digest(request)?;
    block(front, Block { sha256, is_blocked: false, moderator: administrator.user_id, reason: None }).await
}

async fn block(front: &Front, request: Block) -> Outcome {
    front.uploads.block(request).await?;
    // The others learn of it by signal; here it holds before the answer leaves.
    front.catalog.load_block_list().await;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// The list holds for all homeservers: who administers one of several may not change it.
fn check(front: &Front, administrator: &Administrator) -> Result<(), ApiError> {
    match administrator.authority {
        Authority::Server(_) if front.server_names.len() > 1 => {
            Err(ApiError::new(ErrorCode::Forbidden, "the block list is that of several homeservers"))
        }
        Authority::Everything | Authority::Server(_) => Ok(()),
    }
}

fn digest(request: &HttpRequest) -> Result<[u8; 32], ApiError> {
    let text = params::text_segment(request, "sha256").unwrap_or_default();
    let digest = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| ApiError::new(ErrorCode::InvalidParam, "sha256 must be 64 hexadecimal digits"))
}

/// For other moderators, if one is given.
async fn read_reason(front: &Front, body: &mut Payload) -> Result<Option<String>, ApiError> {
    let body = create::read(front, body).await?;
    let said: Value = match body.as_slice() {
        [] => return Ok(None),
        json => serde_json::from_slice(json)
            .map_err(|_| ApiError::new(ErrorCode::NotJson, "the body must be empty or {\"reason\": …}"))?,
    };
    Ok(said["reason"].as_str().map(str::to_owned))
}
