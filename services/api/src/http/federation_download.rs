//! `GET /_matrix/federation/v1/media/download/{mediaId}`
//! <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1mediadownloadmediaid>

use actix_web::{HttpRequest, HttpResponse, web::Data};
use heliograph_types::{MediaId, Mxc};

use crate::{
    auth, deliver, disposition,
    error::ApiError,
    http::{download, multipart},
    params::{self, Query},
    server::Front,
};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let signer = auth::server(&front, &request).await?;
    let media_id: MediaId = params::segment(&request, "media_id")?;
    let mxc = Mxc { server_name: signer.destination, media_id };
    let wait = Query::of(&request).wait(front.config.max_wait)?;
    let record = download::local(&front, &mxc, wait).await?;
    tracing::debug!(origin = %signer.origin, %mxc, "served to another server");
    let content = deliver::open(&front, &record, 0..record.size_bytes).await?;
    let disposition = disposition::of_content(&record.content_type, record.file_name.as_ref());
    Ok(multipart::answer(&request, record.content_type.as_str(), &disposition, record.size_bytes, content))
}
