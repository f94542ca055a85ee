//! URLs by which others reach one object for a while.

use std::{sync::Arc, time::Duration};

use http::Method;
use object_store::{
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use url::Url;

use crate::{Cloud, Grant, Key, location::location_of};

/// Signs URLs of one bucket, for the address at which others find it.
#[derive(Debug, Clone)]
pub(super) struct UrlSigner {
    pub(super) cloud: Cloud,
    pub(super) signer: Arc<dyn Signer>,
    /// Stands before every key.
    pub(super) prefix: Option<Key>,
}

impl UrlSigner {
    /// `None` for what this cloud has no URL for.
    pub(super) async fn sign(
        &self,
        key: &Key,
        grant: Grant<'_>,
        lifetime: Duration,
    ) -> object_store::Result<Option<Url>> {
        let path = self.path_of(key);
        match (grant, self.cloud) {
            // Azure takes a blob only from who says of what kind it is, in a header of its own.
            // Its signatures of this library fix no headers of answers.
            (_, Cloud::Azure) => Ok(None),
            (Grant::Put, _) => self.signer.signed_url(Method::PUT, &path, lifetime).await.map(Some),
            (Grant::Get { content_type, disposition }, _) => {
                let headers = [("response-content-type", content_type), ("response-content-disposition", disposition)];
                let options = SignedUrlOptions::new().with_query(headers);
                self.signer.signed_url_opts(Method::GET, &path, lifetime, &options).await.map(Some)
            }
        }
    }

    fn path_of(&self, key: &Key) -> Path {
        let path = location_of(key);
        match &self.prefix {
            None => path,
            Some(prefix) => location_of(prefix).parts().chain(path.parts()).collect(),
        }
    }
}
