//! `GET` and `DELETE /_heliograph/admin/v1/queues/{queue}/aside`, `DELETE …/aside/{job_id}`,
//! `POST …/aside/retry` and `POST …/aside/{job_id}/retry`
//!
//! Jobs that nobody could do, and why. The one queue is `thumbnails`: new pictures of which no thumbnails
//! could be made beforehand.

use actix_web::{HttpRequest, HttpResponse};
use heliograph_leases::{JobAside, JobId, StateError, retry};
use heliograph_proto::NEW_PICTURES;
use heliograph_types::{ErrorCode, Failure};
use serde_json::{Value, json};

use super::check_shared;
use crate::{
    auth::Administrator,
    error::ApiError,
    params::{self, Query},
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator, request)?;
    let query = Query::of(request);
    let after = query.find(&["from"]).map(parse).transpose()?;
    let limit = usize::try_from(query.page_limit(1)?).unwrap_or(usize::MAX);
    let jobs =
        front.state.jobs_aside(NEW_PICTURES, after.as_ref(), limit).await.map_err(|error| unreachable(&error))?;
    let mut body = json!({ "jobs": jobs.iter().map(describe).collect::<Vec<_>>(), "total": total(front).await? });
    if let Some(last) = jobs.last().filter(|_| jobs.len() == limit) {
        body["next_token"] = last.id.to_string().into();
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Forgets all of them.
pub(crate) async fn handle_delete_all(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator, request)?;
    forget(front, None).await
}

/// Forgets one.
pub(crate) async fn handle_delete(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator, request)?;
    let id = parse(&params::text_segment(request, "job_id").unwrap_or_default())?;
    forget(front, Some(&id)).await
}

async fn forget(front: &Front, id: Option<&JobId>) -> Outcome {
    let deleted = front.state.forget_aside(NEW_PICTURES, id).await.map_err(|error| unreachable(&error))?;
    Ok(HttpResponse::Ok().json(json!({ "deleted": deleted })))
}

/// Has all of them tried again, the oldest first, as far as there is room in the queue.
pub(crate) async fn handle_retry_all(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator, request)?;
    put_back(front, None).await
}

/// Has one tried again, if there is room in the queue.
pub(crate) async fn handle_retry(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check(front, &administrator, request)?;
    let id = parse(&params::text_segment(request, "job_id").unwrap_or_default())?;
    put_back(front, Some(&id)).await
}

async fn put_back(front: &Front, id: Option<&JobId>) -> Outcome {
    let retried = retry(&front.state, NEW_PICTURES, id, front.premake.most()).await;
    let retried = retried.map_err(|error| unreachable(&error))?;
    Ok(HttpResponse::Ok().json(json!({ "retried": retried, "total": total(front).await? })))
}

/// How many are set aside.
async fn total(front: &Front) -> Result<u64, ApiError> {
    let standing = front.state.measure_queue(NEW_PICTURES).await;
    standing.map(|standing| standing.aside).map_err(|error| unreachable(&error))
}

/// The queue is that of all homeservers.
fn check(front: &Front, administrator: &Administrator, request: &HttpRequest) -> Result<(), ApiError> {
    check_shared(front, administrator)?;
    match params::text_segment(request, "queue").as_deref() {
        Some(NEW_PICTURES) => Ok(()),
        _ => Err(Failure::not_found().into()),
    }
}

fn parse(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|error| ApiError::new(ErrorCode::InvalidParam, format!("{text:?} is {error}")))
}

fn describe(job: &JobAside) -> Value {
    json!({
        "id": job.id.to_string(),
        "job": job.task,
        "reason": job.reason,
        "tries": job.tries,
        "set_aside_ts": job.id.added_at(),
    })
}

fn unreachable(error: &StateError) -> ApiError {
    Failure::unavailable(error.to_string()).into()
}
