//! `GET /_matrix/key/v2/server` and `GET /_matrix/federation/v1/version`
//! <https://spec.matrix.org/latest/server-server-api/#get_matrixkeyv2server>
//!
//! Only for server names for which no homeserver speaks: all others publish their own.

use std::time::Duration;

use actix_web::HttpResponse;
use heliograph_matrix::{SigningKey, publish_key};
use heliograph_types::{ErrorCode, ServerName};
use serde_json::json;

use crate::{
    error::ApiError,
    routes::{Call, Outcome},
};

/// Others ask again after half of it.
const BELIEVED_FOR: Duration = Duration::from_hours(24);

pub(crate) async fn handle_keys(call: Call<'_>) -> Outcome {
    let (server_name, key) = find(&call)?;
    let document = publish_key(&server_name, key, call.front.clock.now() + BELIEVED_FOR);
    Ok(HttpResponse::Ok().json(document))
}

pub(crate) async fn handle_version(call: Call<'_>) -> Outcome {
    find(&call)?;
    let server = json!({ "name": "Heliograph", "version": env!("CARGO_PKG_VERSION") });
    Ok(HttpResponse::Ok().json(json!({ "server": server })))
}

fn find<'a>(call: &Call<'a>) -> Result<(ServerName, &'a SigningKey), ApiError> {
    let server_name = call.front.tenant_by_host(call.request);
    let key = call.front.published_keys.get(&server_name);
    let elsewhere = || ApiError::new(ErrorCode::Unrecognized, "the homeserver answers this");
    key.map(|key| (server_name, key)).ok_or_else(elsewhere)
}
