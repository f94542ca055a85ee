//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}` (MSC2246)
//! <https://spec.matrix.org/latest/client-server-api/#put_matrixmediav3uploadservernamemediaid>

use actix_web::HttpResponse;
use heliograph_matrix::Requester;
use heliograph_proto::Target;

use crate::{
    http::upload,
    params,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(call: Call<'_>, requester: Requester) -> Outcome {
    let target = Target::Reserved(params::own_mxc(call.front, call.request)?);
    let (_, answer) = upload::store(call, requester, target).await?;
    Ok(HttpResponse::Ok().json(answer))
}
