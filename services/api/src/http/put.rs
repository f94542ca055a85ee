//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}` (MSC2246)
//! <https://spec.matrix.org/latest/client-server-api/#put_matrixmediav3uploadservernamemediaid>

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use heliograph_proto::{Begin, Target};
use heliograph_types::Failure;
use serde_json::json;

use crate::{
    auth,
    error::ApiError,
    http::upload::{declared_bytes, described},
    params, receive,
    refuse::answer_or_refuse,
    server::Front,
};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest, mut body: Payload) -> HttpResponse {
    let stored = store(&front, &request, &mut body).await;
    answer_or_refuse(&front, &request, stored, body).await
}

async fn store(front: &Front, request: &HttpRequest, body: &mut Payload) -> Result<HttpResponse, ApiError> {
    let requester = auth::user(front, request).await?;
    let mxc = params::mxc(request)?;
    let described = described(front, request)?;
    if !front.is_ours(&mxc.server_name) {
        return Err(Failure::not_found().into());
    }
    let begin = Begin {
        target: Target::Reserved(mxc),
        uploader: Some(requester.user_id),
        declared_bytes: declared_bytes(request),
    };
    receive::upload(front, begin, described, body).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
