//! A content delivery network in front of our own endpoint, or of the bucket.

mod signature;

use std::sync::Arc;

use async_trait::async_trait;
use heliograph_blobs::{BlobError, Key};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::{
    config::{CdnOrigin, RedirectsConfig},
    own::{ENCODED, UrlSigner, below, name_refusal},
    store::bucket_refusal,
    target::{Asking, Life, Reason, Redirected, Target},
};

pub(super) use signature::CloudFrontKey;
use signature::Signature;

/// A network as a target.
pub(super) struct Cdn {
    base: Url,
    /// Makes the URLs of our own endpoint; without it, the bucket is behind the network.
    own: Option<Arc<UrlSigner>>,
    signature: Signature,
    is_guarded: bool,
}

impl Cdn {
    /// `None` without an address.
    pub(super) fn new(config: &RedirectsConfig, own: Option<Arc<UrlSigner>>) -> Result<Option<Self>, String> {
        let Some(base) = config.base_url.clone() else { return Ok(None) };
        let own = own.filter(|_| config.cdn_origin == CdnOrigin::Own);
        let signature = Signature::new(config)?;
        Ok(Some(Self { base, own, signature, is_guarded: config.guarded_store }))
    }

    fn unsigned(&self, what: &Redirected<'_>, expires: u64) -> Option<Url> {
        match &self.own {
            Some(own) => own.url(what, expires),
            None => below(&self.base, &bucket_target(what)?),
        }
    }
}

/// Where a bucket has a blob, and how it is to answer. Brackets are encoded in its names already.
fn bucket_target(what: &Redirected<'_>) -> Option<String> {
    let path = what.key.as_ref().map(Key::as_str)?.replace('[', "%255B").replace(']', "%255D");
    let encoded = |text| utf8_percent_encode(text, ENCODED);
    let (content_type, disposition) = (encoded(what.content_type), encoded(what.disposition));
    Some(format!("/{path}?response-content-type={content_type}&response-content-disposition={disposition}"))
}

/// Blobs of stores beside the usual one are not behind the network.
fn is_elsewhere(what: &Redirected<'_>) -> bool {
    what.key.as_ref().is_some_and(|key| key.as_str().starts_with("store/"))
}

#[async_trait]
impl Target for Cdn {
    fn name(&self) -> &'static str {
        "cdn"
    }

    fn refusal(&self, asking: Asking, what: &Redirected<'_>) -> Option<Reason> {
        match &self.own {
            Some(_) => name_refusal(what),
            None if is_elsewhere(what) => Some(Reason::NoUrl),
            None => bucket_refusal(self.is_guarded, asking, what),
        }
    }

    async fn url(&self, what: &Redirected<'_>, life: Life) -> Result<Option<Url>, BlobError> {
        let expires = life.expires();
        let unsigned = self.unsigned(what, expires);
        Ok(unsigned.and_then(|url| self.signature.sign(&url, expires)))
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::{Secret, Timestamp};

    use super::*;
    use crate::redirect::{
        config::{CdnSignature, RedirectTo},
        testing::{asking, file},
    };

    fn cdn(cdn_origin: CdnOrigin, cdn_signature: CdnSignature) -> Cdn {
        let secret = |letter: &str| Some(Secret::new(letter.repeat(32)));
        let config = RedirectsConfig {
            to: RedirectTo::Cdn,
            base_url: Some("https://cdn.example".parse().unwrap()),
            secret: secret("s"),
            cdn_secret: secret("c"),
            cdn_origin,
            cdn_signature,
            ..RedirectsConfig::default()
        };
        Cdn::new(&config, UrlSigner::new(&config).map(Arc::new)).unwrap().unwrap()
    }

    fn life() -> Life {
        Life { now: Timestamp::from_millis(1_800_000_000_000), lifetime: std::time::Duration::from_mins(5) }
    }

    #[tokio::test]
    async fn our_own_signature_stays_in_the_url() {
        let mxc = "mxc://a.example/a".parse().unwrap();
        let what = file(&mxc, None);

        let url = cdn(CdnOrigin::Own, CdnSignature::SecureLink).url(&what, life()).await.unwrap().unwrap();

        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["expires", "signature", "md5"]);
        assert_eq!(url.path(), "/_heliograph/media/a.example/a");
    }

    #[tokio::test]
    async fn a_bucket_behind_it_is_told_type_and_name() {
        let mxc = "mxc://a.example/a".parse().unwrap();
        let key = Some(Key::new("blobs/2026-11-26T15/[::1]:8448/01.a").unwrap());
        let what = Redirected { key, ..file(&mxc, None) };

        let url = cdn(CdnOrigin::Store, CdnSignature::None).url(&what, life()).await.unwrap().unwrap();

        assert_eq!(
            url.as_str(),
            "https://cdn.example/blobs/2026-11-26T15/%255B::1%255D:8448/01.a\
             ?response-content-type=application%2Foctet-stream&response-content-disposition=attachment"
        );
    }

    #[test]
    fn a_blob_of_another_store_is_not_behind_it() {
        let mxc = "mxc://a.example/a".parse().unwrap();
        let there = Redirected { key: Some(Key::new("store/eu/blobs/a").unwrap()), ..file(&mxc, None) };

        assert_eq!(cdn(CdnOrigin::Store, CdnSignature::None).refusal(asking(), &there), Some(Reason::NoUrl));
        assert_eq!(cdn(CdnOrigin::Own, CdnSignature::None).refusal(asking(), &there), None);
    }
}
