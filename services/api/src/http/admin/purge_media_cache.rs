//! `POST /_synapse/admin/v1/purge_media_cache?before_ts=…`
//! <https://element-hq.github.io/synapse/latest/admin_api/media_admin_api.html#purge-remote-media-api>
//!
//! Removes copies of remote media that were not read since; they can be fetched again. What is just
//! being read stays (`remote_copies.keep_recent_for`).

use std::sync::Arc;

use actix_web::HttpResponse;
use heliograph_types::{ErrorCode, Timestamp};
use serde_json::json;

use super::check_shared;
use crate::{
    auth::Administrator,
    error::ApiError,
    params::Query,
    routes::{Call, Outcome},
};

/// In December of 1970: who says so means seconds.
const LEAST_MILLIS: u64 = 30_000_000_000;

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    check_shared(front, &administrator)?;
    let read_before = Query::of(request).get_number("before_ts", 0)?;
    if read_before < LEAST_MILLIS {
        let message = "before_ts is from the year 1970: it must be in milliseconds";
        return Err(ApiError::new(ErrorCode::InvalidParam, message));
    }
    // What was read here until now counts.
    front.reads.write().await;
    let uploads = Arc::clone(&front.uploads);
    let purge = async move { uploads.purge_copies(Timestamp::from_millis(read_before)).await };
    let deleted = front.work.run_to_the_end(purge).await?;
    Ok(HttpResponse::Ok().json(json!({ "deleted": deleted })))
}
