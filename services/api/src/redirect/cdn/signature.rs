//! How networks know our URLs.

use std::{fmt, path::Path, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use heliograph_types::Secret;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use ring::hmac;
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use url::Url;

use crate::redirect::config::{CdnSignature, Encoding, RedirectsConfig};

/// A signature, and its secret.
pub(super) enum Signature {
    None,
    SecureLink(Secret<String>),
    Hmac(hmac::Key, Encoding),
    CloudFront(CloudFrontKey),
}

impl Signature {
    pub(super) fn new(config: &RedirectsConfig) -> Result<Self, String> {
        let secret = || config.cdn_secret.clone().ok_or("there is no redirects.cdn_secret");
        Ok(match config.cdn_signature {
            CdnSignature::None => Self::None,
            CdnSignature::SecureLink => Self::SecureLink(secret()?),
            CdnSignature::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret()?.expose().as_bytes());
                Self::Hmac(key, config.cdn_encoding)
            }
            CdnSignature::CloudFront => {
                let file = config.cdn_key_file.as_deref().ok_or("there is no redirects.cdn_key_file")?;
                Self::CloudFront(CloudFrontKey::load(file, config.cdn_key_pair_id.as_deref().unwrap_or_default())?)
            }
        })
    }

    /// The URL with the signature added; `None` if that fails.
    pub(super) fn sign(&self, url: &Url, expires: u64) -> Option<Url> {
        let added = match self {
            Self::None => return Some(url.clone()),
            Self::SecureLink(secret) => format!("{}md5={}", expiry(url, expires), secure_link(url, expires, secret)?),
            Self::Hmac(key, encoding) => {
                format!("{}token={}", expiry(url, expires), token(url, expires, key, *encoding))
            }
            Self::CloudFront(key) => key.sign(url, expires)?,
        };
        let mut signed = url.clone();
        signed.set_query(Some(&joined(url.query(), &added)));
        Some(signed)
    }
}

/// Our own URLs say already when they end.
fn expiry(url: &Url, expires: u64) -> String {
    let is_said = url.query_pairs().any(|(name, _)| name == "expires");
    if is_said { String::new() } else { format!("expires={expires}&") }
}

fn joined(query: Option<&str>, added: &str) -> String {
    query.map_or_else(|| added.to_owned(), |query| format!("{query}&{added}"))
}

/// nginx sees the path without its encoding.
fn secure_link(url: &Url, expires: u64, secret: &Secret<String>) -> Option<String> {
    let path = percent_decode_str(url.path()).decode_utf8().ok()?;
    Some(URL_SAFE_NO_PAD.encode(Md5::digest(format!("{expires}{path} {}", secret.expose()))))
}

fn token(url: &Url, expires: u64, key: &hmac::Key, encoding: Encoding) -> String {
    let tag = hmac::sign(key, format!("{}{expires}", url.path()).as_bytes());
    match encoding {
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(tag),
        Encoding::Hex => hex::encode(tag),
    }
}

/// A key pair whose public half CloudFront knows.
pub(in crate::redirect) struct CloudFrontKey {
    key: Arc<dyn SigningKey>,
    pair_id: String,
}

impl fmt::Debug for CloudFrontKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFrontKey").field("pair_id", &self.pair_id).finish_non_exhaustive()
    }
}

impl CloudFrontKey {
    /// Reads the private key from a PEM file, of whatever form.
    pub(in crate::redirect) fn load(file: &Path, pair_id: &str) -> Result<Self, String> {
        let told = |error: String| format!("{}: {error}", file.display());
        let key = PrivateKeyDer::from_pem_file(file).map_err(|error| told(error.to_string()))?;
        let key = any_supported_type(&key).map_err(|error| told(error.to_string()))?;
        if key.choose_scheme(SCHEMES).is_none() {
            return Err(told("is neither an RSA nor a P-256 key".to_owned()));
        }
        Ok(Self { key, pair_id: pair_id.to_owned() })
    }

    /// What a canned policy adds to the query.
    fn sign(&self, url: &Url, expires: u64) -> Option<String> {
        let policy = policy(url.as_str(), expires);
        let signature = self.key.choose_scheme(SCHEMES)?.sign(policy.as_bytes()).ok()?;
        let (signature, pair_id) = (alphabet(&STANDARD.encode(signature)), &self.pair_id);
        Some(format!("Expires={expires}&Signature={signature}&Key-Pair-Id={pair_id}&Hash-Algorithm=SHA256"))
    }
}

const SCHEMES: &[SignatureScheme] = &[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];

/// What CloudFront puts together from a URL, and checks the signature of.
fn policy(url: &str, expires: u64) -> String {
    format!(r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#)
}

/// Base64 as CloudFront wants it in a URL.
fn alphabet(base64: &str) -> String {
    base64.replace('+', "-").replace('=', "_").replace('/', "~")
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn secret() -> Secret<String> {
        Secret::new("a secret of nginx that is long enough".to_owned())
    }

    fn parameter(url: &Url, wanted: &str) -> String {
        url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned()
    }

    #[test]
    fn nginx_is_given_what_its_documentation_says() {
        // printf '%s' '2147483647/s/link a secret' | openssl md5 -binary | basenc --base64url
        let short = Secret::new("a secret".to_owned());
        let signed = Signature::SecureLink(short).sign(&url("https://c.example/s/link"), 2_147_483_647).unwrap();

        assert_eq!(signed.as_str(), "https://c.example/s/link?expires=2147483647&md5=CbzLslHwA_ROAkHVMs4ueg");
    }

    #[test]
    fn nginx_sees_names_without_their_encoding() {
        let encoded = url("https://c.example/a/sp%C3%A4%20t%25?expires=7&signature=x");

        let signed = Signature::SecureLink(secret()).sign(&encoded, 7).unwrap();

        let expected = URL_SAFE_NO_PAD.encode(Md5::digest(format!("7/a/spä t% {}", secret().expose())));
        assert_eq!(signed.query(), Some(format!("expires=7&signature=x&md5={expected}").as_str()));
    }

    #[test]
    fn a_token_is_an_hmac_in_either_form() {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, b"a secret");
        let sign = |encoding| Signature::Hmac(key(), encoding).sign(&url("https://c.example/a%20b?x=1"), 1000).unwrap();

        // printf '%s' '/a%20b1000' | openssl dgst -sha256 -hmac 'a secret'
        let hex_form = "5fdcd4fa8bc4fc7484abceb34264921406f475f4b130811f3fdf784c552c0292";
        assert_eq!(sign(Encoding::Hex).query(), Some(format!("x=1&expires=1000&token={hex_form}").as_str()));
        let base64_form = URL_SAFE_NO_PAD.encode(hex::decode(hex_form).unwrap());
        assert_eq!(sign(Encoding::Base64Url).query(), Some(format!("x=1&expires=1000&token={base64_form}").as_str()));
    }

    fn openssl(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `openssl` verifies what we sign, with the public half of each kind of key in each form.
    #[test]
    fn cloudfront_is_given_a_policy_that_its_public_key_verifies() {
        let folder = tempfile::tempdir().unwrap();
        for generate in [
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
            "genrsa -traditional -out key.pem 2048",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
            "ecparam -name prime256v1 -genkey -noout -out key.pem",
        ] {
            openssl(folder.path(), &generate.split(' ').collect::<Vec<_>>());
            openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
            let key = CloudFrontKey::load(&folder.path().join("key.pem"), "K2JCJMDEHXQW5F").unwrap();
            let plain = "https://d111111abcdef8.cloudfront.net/image.jpg?color=red&size=medium";

            let signed = Signature::CloudFront(key).sign(&url(plain), 1_767_290_400).unwrap();

            let signature = parameter(&signed, "Signature");
            let expected = format!(
                "{plain}&Expires=1767290400&Signature={signature}&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"
            );
            assert_eq!(signed.as_str(), expected);
            let standard = signature.replace('-', "+").replace('_', "=").replace('~', "/");
            fs::write(folder.path().join("signature"), STANDARD.decode(standard).unwrap()).unwrap();
            let policy =
                r#"{"Statement":[{"Resource":"URL","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#;
            fs::write(folder.path().join("policy"), policy.replace("URL", plain)).unwrap();
            let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "policy"];
            assert_eq!(openssl(folder.path(), &verify), "Verified OK\n", "{generate}");
        }
    }

    #[test]
    fn a_key_that_cloudfront_does_not_take_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        openssl(folder.path(), &["genpkey", "-algorithm", "ED25519", "-out", "key.pem"]);
        fs::write(folder.path().join("empty.pem"), "").unwrap();

        for file in ["key.pem", "empty.pem", "missing.pem"] {
            let error = CloudFrontKey::load(&folder.path().join(file), "K").unwrap_err();
            assert!(error.contains(file), "{error}");
        }
    }
}
