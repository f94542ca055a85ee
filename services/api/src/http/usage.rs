//! `GET /_matrix/media/unstable/org.matrix.msc4034/usage` (MSC4034)
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/4034>

use actix_web::{HttpResponse, http::header::CACHE_CONTROL};
use heliograph_matrix::Requester;
use serde_json::json;

use crate::routes::{Call, Outcome};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, requester: Requester) -> Outcome {
    let usage = front.uploads.usage(&requester.user_id).await?;
    let body = if request.path().contains("/unstable/") {
        json!({
            "org.matrix.msc4034.storage.used": usage.bytes,
            "org.matrix.msc4034.storage.files": usage.files,
        })
    } else {
        json!({ "m.storage.used": usage.bytes, "m.storage.files": usage.files })
    };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "private, no-store")).json(body))
}
