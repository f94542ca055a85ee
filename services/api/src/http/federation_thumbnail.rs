//! `GET /_matrix/federation/v1/media/thumbnail/{mediaId}`
//! <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1mediathumbnailmediaid>

use actix_web::{HttpRequest, HttpResponse, web::Data};
use heliograph_proto::Thumbnail;
use heliograph_types::{MediaId, Mxc};

use crate::{
    auth,
    deliver::Opened,
    error::ApiError,
    http::{download, multipart, thumbnail},
    params,
    server::Front,
};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let signer = auth::server(&front, &request).await?;
    let media_id: MediaId = params::segment(&request, "media_id")?;
    let mxc = Mxc { server_name: signer.destination, media_id };
    let (spec, wait) = thumbnail::spec(&front, &request)?;
    download::local(&front, &mxc, wait).await?;
    let Thumbnail { content_type, image } = thumbnail::stored_or_rendered(&front, mxc, spec).await?;
    let extension = if content_type.as_str() == "image/png" { "png" } else { "jpg" };
    let disposition = format!("inline; filename=thumbnail.{extension}");
    let size_bytes = image.len() as u64;
    Ok(multipart::answer(&request, content_type.as_str(), &disposition, size_bytes, Opened::Whole(image)))
}
