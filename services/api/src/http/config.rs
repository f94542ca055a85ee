//! `GET /_matrix/client/v1/media/config`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediaconfig>

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};
use serde_json::json;

use crate::{auth, error::ApiError, server::Front};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    auth::user(&front, &request).await?;
    let body = json!({ "m.upload.size": front.max_upload_bytes });
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "private, no-store")).json(body))
}
