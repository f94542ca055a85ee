//! URLs of our own: whoever has one gets one medium for a while.
//!
//! `/_heliograph/media/{server}/{id}[/{name}]?expires=…&signature=…`. What is signed is the path
//! in the one form that we write, so that a proxy which encodes it in another way breaks nothing.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use heliograph_blobs::BlobError;
use heliograph_types::{FileName, Mxc, Secret, ThumbnailVariant};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use url::Url;

use super::{
    config::RedirectsConfig,
    target::{Asking, Life, Part, Reason, Redirected, Target},
};

/// All but what needs no encoding anywhere in a URL.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs and knows our own URLs.
pub(crate) struct UrlSigner {
    base: Url,
    /// The first one signs, all are believed.
    keys: Vec<hmac::Key>,
}

impl UrlSigner {
    /// `None` if there are no such URLs.
    pub(super) fn new(config: &RedirectsConfig) -> Option<Self> {
        let (base, secret) = config.base_url.clone().zip(config.secret.as_ref()).filter(|_| config.has_own())?;
        let key = |secret: &Secret<String>| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Some(Self { base, keys: std::iter::once(secret).chain(&config.former_secrets).map(key).collect() })
    }

    /// Whether we have signed this path until then.
    pub(crate) fn is_ours(&self, path: &str, expires: u64, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.keys.iter().any(|key| hmac::verify(key, text(path, expires).as_bytes(), &signature).is_ok())
    }

    /// The URL of what is wanted until then.
    pub(super) fn url(&self, what: &Redirected<'_>, expires: u64) -> Option<Url> {
        let path = path_of(what);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.keys[0], text(&path, expires).as_bytes()));
        below(&self.base, &format!("{path}?expires={expires}&signature={signature}"))
    }
}

fn text(path: &str, expires: u64) -> String {
    format!("{path}?expires={expires}")
}

/// A path and query below a base that may have a path of its own.
pub(super) fn below(base: &Url, target: &str) -> Option<Url> {
    format!("{}{target}", base.as_str().trim_end_matches('/')).parse().ok()
}

fn path_of(what: &Redirected<'_>) -> String {
    match what.part {
        Part::File(name) => media_path(what.mxc, name),
        Part::Thumbnail(variant) => thumbnail_path(what.mxc, variant),
    }
}

/// The path of a medium, as it is signed.
pub(crate) fn media_path(mxc: &Mxc, name: Option<&FileName>) -> String {
    let name = name.map_or_else(String::new, |name| format!("/{}", utf8_percent_encode(name.as_str(), ENCODED)));
    format!("/_heliograph/media/{}{name}", encoded(mxc))
}

/// The path of a thumbnail, as it is signed.
pub(crate) fn thumbnail_path(mxc: &Mxc, variant: ThumbnailVariant) -> String {
    format!("/_heliograph/thumbnail/{}/{variant}", encoded(mxc))
}

fn encoded(Mxc { server_name, media_id }: &Mxc) -> String {
    format!("{}/{media_id}", utf8_percent_encode(server_name.as_str(), ENCODED))
}

/// Why the name cannot stand in a path, if it cannot: dots are taken for a way up, and slashes
/// for a way down, by every other proxy.
pub(super) fn name_refusal(what: &Redirected<'_>) -> Option<Reason> {
    let Part::File(Some(name)) = what.part else { return None };
    let name = name.as_str();
    (matches!(name, "." | "..") || name.contains(['/', '\\'])).then_some(Reason::Name)
}

/// Our own endpoint as a target.
pub(super) struct Own(pub(super) Arc<UrlSigner>);

#[async_trait]
impl Target for Own {
    fn name(&self) -> &'static str {
        "self"
    }

    fn refusal(&self, _: Asking, what: &Redirected<'_>) -> Option<Reason> {
        name_refusal(what)
    }

    async fn url(&self, what: &Redirected<'_>, life: Life) -> Result<Option<Url>, BlobError> {
        Ok(self.0.url(what, life.expires()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::{config::RedirectTo, testing::file};

    fn signer(secret: char, former: &[char]) -> UrlSigner {
        let secret_of = |letter: char| Secret::new(letter.to_string().repeat(32));
        let config = RedirectsConfig {
            to: RedirectTo::Own,
            base_url: Some("https://media.example/at/".parse().unwrap()),
            secret: Some(secret_of(secret)),
            former_secrets: former.iter().map(|letter| secret_of(*letter)).collect(),
            ..RedirectsConfig::default()
        };
        UrlSigner::new(&config).unwrap()
    }

    fn mxc(text: &str) -> Mxc {
        text.parse().unwrap()
    }

    fn signature(signer: &UrlSigner, mxc: &Mxc) -> String {
        let url = signer.url(&file(mxc, None), 1000).unwrap();
        url.query_pairs().find(|(name, _)| name == "signature").unwrap().1.into_owned()
    }

    #[test]
    fn the_url_is_as_it_always_was() {
        let (mxc, name) = (mxc("mxc://[::1]:8448/Zm_-9"), FileName::new("späť 50%.png").unwrap());

        let url = signer('s', &[]).url(&file(&mxc, Some(&name)), 1_800_000_303).unwrap();

        // printf '%s' '/_heliograph/media/…png?expires=1800000303' |
        //   openssl dgst -sha256 -hmac ssssssssssssssssssssssssssssssss -binary | basenc --base64url
        assert_eq!(
            url.as_str(),
            "https://media.example/at/_heliograph/media/%5B%3A%3A1%5D%3A8448/Zm_-9/sp%C3%A4%C5%A5%2050%25.png\
             ?expires=1800000303&signature=uGhsvHv7jq3f0gBMhiFJTbAehbLiGFFDDdRr8wDdzV4"
        );
    }

    #[test]
    fn a_signature_holds_for_one_medium_one_name_and_one_time() {
        let (signer, a, b) = (signer('s', &[]), mxc("mxc://a.example/a"), mxc("mxc://a.example/b"));
        let (signature, name) = (signature(&signer, &a), FileName::new("x"));

        assert!(signer.is_ours(&media_path(&a, None), 1000, &signature));
        assert!(!signer.is_ours(&media_path(&b, None), 1000, &signature));
        assert!(!signer.is_ours(&media_path(&a, name.as_ref()), 1000, &signature));
        assert!(!signer.is_ours(&media_path(&a, None), 1001, &signature));
        assert!(!signer.is_ours(&thumbnail_path(&a, "9x9-crop".parse().unwrap()), 1000, &signature));
        let in_webp = thumbnail_path(&a, "9x9-crop.webp".parse().unwrap());
        assert_eq!(in_webp, "/_heliograph/thumbnail/a.example/a/9x9-crop.webp");
        for wrong in ["", "A", "=", &signature[1..], &format!("{signature}A")] {
            assert!(!signer.is_ours(&media_path(&a, None), 1000, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_former_secret_is_believed_and_signs_nothing() {
        let a = mxc("mxc://a.example/a");
        let (old, new) = (signature(&signer('o', &[]), &a), signature(&signer('n', &['o']), &a));

        assert_ne!(old, new);
        assert!(signer('n', &['o']).is_ours(&media_path(&a, None), 1000, &old));
        assert!(!signer('n', &[]).is_ours(&media_path(&a, None), 1000, &old));
        assert!(!signer('o', &[]).is_ours(&media_path(&a, None), 1000, &new));
    }

    #[test]
    fn a_name_that_looks_like_a_way_is_in_no_path() {
        let a = mxc("mxc://a.example/a");
        for (name, is_refused) in
            [(".", true), ("..", true), ("a/b", true), ("a\\b", true), ("...", false), (".a", false), ("a b?#%", false)]
        {
            let name = FileName::new(name);
            assert_eq!(name_refusal(&file(&a, name.as_ref())).is_some(), is_refused, "{name:?}");
        }
    }
}
