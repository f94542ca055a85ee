//! `GET /_synapse/admin/v1/media/{serverName}/{mediaId}`

use actix_web::HttpResponse;
use heliograph_catalog::{MediaRecord, PictureFacts};
use heliograph_types::{Failure, Timestamp};
use serde_json::{Value, json};

use super::check_authority;
use crate::{
    auth::Administrator,
    params,
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    let mxc = params::mxc(request)?;
    check_authority(front, &administrator, &mxc)?;
    let record = front.catalog.find(&mxc).await?.ok_or_else(Failure::not_found)?;
    let mut info = describe(front, &record);
    if let Some(facts) = find_facts(front, &record).await {
        info["org.heliograph.picture"] = json!(facts);
    }
    if record.is_remote_copy() {
        info["last_access_ts"] = front.reads.find_last(&mxc).await.map(Timestamp::as_millis).into();
    }
    Ok(HttpResponse::Ok().json(json!({ "media_info": info })))
}

/// What was seen of a picture, if anybody has looked at it.
async fn find_facts(front: &Front, record: &MediaRecord) -> Option<PictureFacts> {
    let facts = PictureFacts::find(&*front.blobs, &record.mxc).await;
    let warn = |error: &_| tracing::warn!(mxc = %record.mxc, %error, "what was seen of a picture cannot be read");
    facts.inspect_err(warn).ok().flatten()
}

/// A medium as Synapse describes it. When our own was last asked for is noted nowhere.
fn describe(front: &Front, record: &MediaRecord) -> Value {
    let is_ours = front.is_ours(&record.mxc.server_name);
    let mut info = describe_upload(front, record);
    info["media_origin"] = if is_ours { Value::Null } else { record.mxc.server_name.as_str().into() };
    // Where the bytes are: for ours Synapse derives it from the id.
    info["filesystem_id"] = if is_ours { Value::Null } else { record.blob.as_str().into() };
    if !is_ours {
        info["safe_from_quarantine"] = Value::Null;
    }
    info
}

/// What is said of a medium in the list of its uploader.
pub(super) fn describe_upload(front: &Front, record: &MediaRecord) -> Value {
    json!({
        "user_id": record.uploader,
        "media_id": record.mxc.media_id,
        "media_type": record.content_type.as_str(),
        "media_length": record.size_bytes,
        "upload_name": record.file_name,
        "created_ts": record.created_at.as_millis(),
        "url_cache": null,
        "last_access_ts": null,
        "quarantined_by": record.quarantined.as_ref().map(|verdict| &verdict.by),
        "authenticated": !front.freeze.admits(record),
        "safe_from_quarantine": record.protected,
        "sha256": Some(&record.sha256).filter(|sha256| !sha256.is_empty()),
    })
}
