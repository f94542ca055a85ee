//! `POST /_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}` and `…/unquarantine/…`
//!
//! A medium that is protected is left alone, and that is no error: as Synapse does it.

use actix_web::HttpResponse;
use heliograph_proto::Action;
use serde_json::json;

use super::moderate;
use crate::{
    auth::Administrator,
    params,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(call: Call<'_>, administrator: Administrator) -> Outcome {
    change(call, administrator, Action::Quarantine).await
}

pub(crate) async fn handle_undo(call: Call<'_>, administrator: Administrator) -> Outcome {
    change(call, administrator, Action::Unquarantine).await
}

async fn change(Call { front, request, .. }: Call<'_>, administrator: Administrator, action: Action) -> Outcome {
    moderate(front, &administrator, params::mxc(request)?, action).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
