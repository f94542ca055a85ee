//! `GET /_matrix/client/v1/media/config`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediaconfig>

use actix_web::{HttpResponse, http::header::CACHE_CONTROL};
use heliograph_matrix::Requester;
use heliograph_proto::Usage;
use serde_json::json;

use crate::{
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, .. }: Call<'_>, requester: Requester) -> Outcome {
    let Usage { most_bytes, most_files, .. } = find_usage(front, &requester).await;
    // The largest upload that this user may send: more than the quota never fits.
    let most_upload_bytes = front.max_upload_bytes.min(most_bytes.unwrap_or(u64::MAX));
    let mut body = json!({ "m.upload.size": most_upload_bytes });
    // MSC4034.
    if let Some(bytes) = most_bytes {
        body["org.matrix.msc4034.storage.size"] = bytes.into();
    }
    if let Some(files) = most_files {
        body["org.matrix.msc4034.storage.max_files"] = files.into();
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "private, no-store")).json(body))
}

/// Without quotas there is nothing to ask for; and what cannot be known is left out.
async fn find_usage(front: &Front, requester: &Requester) -> Usage {
    if !front.has_quotas {
        return Usage::default();
    }
    front.uploads.usage(&requester.user_id).await.unwrap_or_else(|failure| {
        tracing::debug!(%failure, "a quota is not known");
        Usage::default()
    })
}
