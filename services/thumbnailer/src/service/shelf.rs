//! What is stored of pictures: thumbnails, and what was seen. All of it can be made again.

use std::time::Instant;

use bytes::Bytes;
use heliograph_blobs::{BlobError, Key};
use heliograph_imaging::Encoding;
use heliograph_proto::{MOST_THUMBNAIL_BYTES, Thumbnail};
use heliograph_types::{ContentType, Failure, Mxc};

use super::Studio;
use crate::metrics;

impl Studio {
    /// What was made before. Something else under its key is made anew.
    pub(super) async fn find_stored(&self, key: &Key) -> Result<Option<Thumbnail>, Failure> {
        match self.deps.blobs.get(key, MOST_THUMBNAIL_BYTES as u64).await {
            Ok(image) => Encoding::sniff(&image).map(|encoding| to_thumbnail(encoding, image)).transpose(),
            Err(BlobError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what was made of a medium for the next who asks. It can be made again, so a failure
    /// to store it is not one of the request.
    pub(super) async fn store(&self, mxc: &Mxc, made: &[(Key, Bytes)]) {
        let begun = Instant::now();
        for (key, content) in made {
            if let Err(error) = self.deps.blobs.put(key, content.clone()).await {
                tracing::warn!(%key, %error, "what was made of a picture is not stored");
            }
        }
        metrics::stored(begun.elapsed());
        // A medium that was deleted meanwhile has lost its other thumbnails by now.
        if !made.is_empty() && !self.is_there(mxc).await {
            for (key, _) in made {
                self.take_away(key).await;
            }
        }
    }

    async fn take_away(&self, key: &Key) {
        match self.deps.blobs.delete(key).await {
            Err(error) if !error.is_not_found() => {
                tracing::error!(%key, %error, "a thumbnail of a deleted medium stays");
            }
            _ => {}
        }
    }

    /// As the store has it now. What cannot be known is taken for there.
    async fn is_there(&self, mxc: &Mxc) -> bool {
        match self.deps.catalog.find_now(mxc).await {
            Ok(record) => record.is_some_and(|record| record.deleted.is_none()),
            Err(_) => true,
        }
    }
}

pub(super) fn to_thumbnail(encoding: Encoding, image: Bytes) -> Result<Thumbnail, Failure> {
    let content_type: Result<ContentType, _> = encoding.media_type().parse();
    let content_type = content_type.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Thumbnail { content_type, image })
}
