//! URLs by which others reach one object for a while.

use std::{sync::Arc, time::Duration};

use http::Method;
use object_store::{
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use url::Url;

use super::{
    config::Failure,
    sas::{AzureSigner, Headers},
};
use crate::{Grant, Key, location::location_of};

/// Signs URLs of one bucket, for the address at which others find it.
#[derive(Debug, Clone)]
pub(super) struct UrlSigner {
    pub(super) signs: Signs,
    /// Stands before every key.
    pub(super) prefix: Option<Key>,
}

/// Who signs.
#[derive(Debug, Clone)]
pub(super) enum Signs {
    /// The library does, for S3.
    S3(Arc<dyn Signer>),
    /// The library does, for Google.
    Google(Arc<dyn Signer>),
    /// We do, with the key of an Azure account.
    Azure(AzureSigner),
    /// Nobody: we have no key.
    Nobody,
}

impl UrlSigner {
    /// `None` for what this cloud has no URL for.
    pub(super) async fn sign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, Failure> {
        let path = self.path_of(key);
        match &self.signs {
            Signs::S3(signer) => sign_by_library(&**signer, &path, grant, lifetime).await,
            // The library takes such a path for one that is encoded as in a URL already.
            Signs::Google(signer) => sign_by_library(&**signer, &Path::from(path.as_ref()), grant, lifetime).await,
            Signs::Azure(signer) => match grant {
                Grant::Get { content_type, disposition } => {
                    signer.sign(&path, Headers { content_type, disposition }, lifetime).map(Some)
                }
                // It takes a blob only from who says of what kind it is, in a header of its own.
                Grant::Put => Ok(None),
            },
            Signs::Nobody => Ok(None),
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

async fn sign_by_library(
    signer: &dyn Signer,
    path: &Path,
    grant: Grant<'_>,
    lifetime: Duration,
) -> Result<Option<Url>, Failure> {
    let url = match grant {
        Grant::Put => signer.signed_url(Method::PUT, path, lifetime).await?,
        Grant::Get { content_type, disposition } => {
            let headers = [("response-content-type", content_type), ("response-content-disposition", disposition)];
            let options = SignedUrlOptions::new().with_query(headers);
            signer.signed_url_opts(Method::GET, path, lifetime, &options).await?
        }
    };
    Ok(Some(url))
}
