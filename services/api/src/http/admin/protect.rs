//! `POST /_synapse/admin/v1/media/protect/{mediaId}` and `…/unprotect/{mediaId}`
//!
//! The medium is one of the administrator's own server name.

use actix_web::HttpResponse;
use heliograph_proto::Action;
use heliograph_types::Mxc;
use serde_json::json;

use super::moderate;
use crate::{
    auth::Administrator,
    params,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(call: Call<'_>, administrator: Administrator) -> Outcome {
    change(call, administrator, Action::Protect).await
}

pub(crate) async fn handle_undo(call: Call<'_>, administrator: Administrator) -> Outcome {
    change(call, administrator, Action::Unprotect).await
}

async fn change(Call { front, request, .. }: Call<'_>, administrator: Administrator, action: Action) -> Outcome {
    let server_name = administrator.user_id.server_name();
    let mxc = Mxc { server_name, media_id: params::segment(request, "media_id")? };
    moderate(front, &administrator, mxc, action).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
