//! `GET /_matrix/federation/v1/media/download/{mediaId}`
//! <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1mediadownloadmediaid>

use std::sync::Arc;

use actix_web::HttpRequest;
use heliograph_catalog::MediaRecord;

use crate::{
    auth::Signer,
    deliver, disposition,
    error::ApiError,
    http::{download, multipart},
    params::{self, Query},
    redirect,
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, signer: Signer) -> Outcome {
    let record = find(front, request, &signer).await?;
    if let Some(url) = redirect::location(front, request, &record).await {
        return Ok(multipart::location(request, &url));
    }
    let content = deliver::open(front, &record, 0..record.size_bytes).await?;
    let disposition = disposition::of_content(&front.config, &record.content_type, record.file_name.as_ref());
    Ok(multipart::answer(request, record.content_type.as_str(), &disposition, record.size_bytes, content))
}

/// What the other server asks for, if it may have it.
pub(crate) async fn find(front: &Front, request: &HttpRequest, signer: &Signer) -> Result<Arc<MediaRecord>, ApiError> {
    let mxc = params::signed_mxc(request, signer)?;
    let wait = Query::of(request).wait(front.config.max_wait)?;
    front.limits.signed(&signer.origin).await?;
    let record = download::local(front, &mxc, wait).await?;
    download::check_wanted(front, &record, false)?;
    front.limits.signed_bytes(&signer.origin, record.size_bytes).await?;
    tracing::debug!(origin = %signer.origin, %mxc, "served to another server");
    Ok(record)
}
