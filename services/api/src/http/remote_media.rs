//! `GET /_matrix/federation/v1/remote_media/{download,thumbnail}/{serverName}/{mediaId}` (MSC1902)
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/1902>
//!
//! As the signed endpoints of today, but with the plain body. The freeze of legacy media
//! does not concern them: the request is signed.

use crate::{
    auth::Signer,
    deliver,
    headers::Caching,
    http::{federation_download, federation_thumbnail},
    routes::{Call, Outcome},
};

pub(crate) async fn handle_download(Call { front, request, .. }: Call<'_>, signer: Signer) -> Outcome {
    let record = federation_download::find(front, request, &signer).await?;
    deliver::stored(front, request, &record, None, Caching::Never).await
}

pub(crate) async fn handle_thumbnail(Call { front, request, .. }: Call<'_>, signer: Signer) -> Outcome {
    let thumbnail = federation_thumbnail::find(front, request, signer).await?;
    Ok(deliver::picture(request, &thumbnail, Caching::Never))
}
