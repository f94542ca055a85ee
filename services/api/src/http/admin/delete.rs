//! `DELETE /_synapse/admin/v1/media/{serverName}/{mediaId}`

use actix_web::HttpResponse;
use heliograph_proto::Action;
use serde_json::json;

use super::{check_ours, moderate};
use crate::{
    auth::Administrator,
    params,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    let mxc = params::mxc(request)?;
    check_ours(front, &mxc)?;
    let media_id = mxc.media_id.clone();
    moderate(front, &administrator, mxc, Action::Delete).await?;
    Ok(HttpResponse::Ok().json(json!({ "deleted_media": [media_id], "total": 1 })))
}
