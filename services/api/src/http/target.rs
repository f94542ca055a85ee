//! `POST /_matrix/media/unstable/org.heliograph/upload/{serverName}/{mediaId}/target`
//!
//! An extension of ours, for points of presence: where the content of an id that was given out
//! before can be put, as `create` tells it of a new one. Beside it a claim: of all who have been
//! told, one at a time may complete, as of many who fill an id in the ordinary way one at a time
//! may. With `org.heliograph.claim` it is kept, and `DELETE` gives it back.

use std::time::Duration;

use actix_web::HttpResponse;
use heliograph_leases::{Lease, StateError};
use heliograph_matrix::Requester;
use heliograph_proto::Presign;
use heliograph_types::{ErrorCode, Failure, Mxc, UserId};
use serde_json::json;

use crate::{
    auth,
    error::ApiError,
    http::create,
    limits::Caller,
    params::{self, Query},
    routes::{Call, Outcome},
    server::Front,
};

/// A claim that is not kept ends after so long.
const CLAIM_TTL: Duration = Duration::from_secs(30);
const CLAIM: &str = "org.heliograph.claim";

pub(crate) async fn handle(Call { front, request, body }: Call<'_>, requester: Requester) -> Outcome {
    let mxc = params::own_mxc(front, request)?;
    let store = params::store(request)?;
    if let Some(claim) = find_claim(&mxc, &requester.user_id, &Query::of(request))? {
        keep(front, &claim).await?;
        return Ok(HttpResponse::Ok().json(json!({})));
    }
    auth::not_suspended(front, &requester).await?;
    front.limits.create(&Caller::of(front, request, &requester)).await?;
    create::check_body(front, body).await?;
    let claim = front
        .state
        .try_acquire(&key(&mxc, &requester.user_id), CLAIM_TTL)
        .await
        .map_err(|error| unavailable(&error))?;
    let Some(claim) = claim else { return Err(taken().into()) };
    // Only now: who had the claim before may just have completed.
    match front.uploads.presign(Presign { mxc, uploader: requester.user_id, store }).await {
        Ok(upload_url) => Ok(HttpResponse::Ok().json(json!({
            "upload_url": upload_url,
            "upload_method": "PUT",
            "claim": format!("{}-{}", claim.fence, claim.owner),
        }))),
        Err(failure) => {
            release(front, &claim).await;
            Err(failure.into())
        }
    }
}

pub(crate) async fn handle_release(Call { front, request, .. }: Call<'_>, requester: Requester) -> Outcome {
    let mxc = params::own_mxc(front, request)?;
    if let Some(claim) = find_claim(&mxc, &requester.user_id, &Query::of(request))? {
        release(front, &claim).await;
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

/// The claim that a request shows.
pub(crate) fn find_claim(mxc: &Mxc, user_id: &UserId, query: &Query<'_>) -> Result<Option<Lease>, ApiError> {
    let Some(shown) = query.find(&[CLAIM]) else { return Ok(None) };
    let claim = shown.split_once('-').and_then(|(fence, owner)| Some((fence.parse().ok()?, owner.to_owned())));
    let invalid = || ApiError::new(ErrorCode::InvalidParam, format!("{CLAIM} must be a claim"));
    let (fence, owner) = claim.ok_or_else(invalid)?;
    Ok(Some(Lease { key: key(mxc, user_id), fence, owner }))
}

/// Holds on to a claim; an error if it is another's by now.
pub(crate) async fn keep(front: &Front, claim: &Lease) -> Result<(), Failure> {
    let is_kept = front.state.renew(claim, CLAIM_TTL).await.map_err(|error| unavailable(&error))?;
    if is_kept { Ok(()) } else { Err(taken()) }
}

/// Gives a claim back. One that cannot be given back ends by itself.
async fn release(front: &Front, claim: &Lease) {
    if let Err(error) = front.state.release(claim).await {
        tracing::debug!(%error, "a claim is left to end");
    }
}

/// Each user has claims of its own, so that nobody is kept from filling its id by a stranger.
fn key(mxc: &Mxc, user_id: &UserId) -> String {
    format!("target/{}/{}/{user_id}", mxc.server_name, mxc.media_id)
}

fn taken() -> Failure {
    Failure::new(ErrorCode::CannotOverwriteMedia, "this id is just being filled")
}

fn unavailable(error: &StateError) -> Failure {
    tracing::warn!(%error, "nobody can be told where to put content");
    Failure::unavailable("the shared state is out of reach")
}
