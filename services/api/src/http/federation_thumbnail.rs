//! `GET /_matrix/federation/v1/media/thumbnail/{mediaId}`
//! <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1mediathumbnailmediaid>

use std::sync::Arc;

use actix_web::HttpRequest;

use crate::{
    auth::Signer,
    deliver::Opened,
    error::ApiError,
    http::{download, multipart, thumbnail},
    limits::Caller,
    params,
    picture::Picture,
    redirect::{self, Wish},
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, signer: Signer) -> Outcome {
    let mxc = params::signed_mxc(request, &signer)?;
    let (spec, _) = thumbnail::spec(front, request)?;
    let thumbnail = find(front, request, signer).await?;
    if let Some(url) =
        redirect::place_of_picture(front, request, Wish::of_server(), (&mxc, spec.into()), &thumbnail).await
    {
        return Ok(multipart::location(request, &url));
    }
    let size_bytes = thumbnail.image.len() as u64;
    let image = Opened::Whole(thumbnail.image.clone());
    Ok(multipart::answer(request, thumbnail.content_type.as_str(), thumbnail.disposition(), size_bytes, image))
}

/// What the other server asks for, if it may have it.
pub(crate) async fn find(front: &Front, request: &HttpRequest, signer: Signer) -> Result<Arc<Picture>, ApiError> {
    let mxc = params::signed_mxc(request, &signer)?;
    let (spec, wait) = thumbnail::spec(front, request)?;
    front.limits.signed(&signer.origin).await?;
    let record = download::local(front, &mxc, wait).await?;
    download::check_wanted(front, &record, false)?;
    thumbnail::stored_or_rendered(front, &Caller::Origin(signer.origin), mxc, spec.into()).await
}
