//! What is wrong with the settings of redirects.

use std::time::Duration;

use url::Url;

use super::{CdnOrigin, CdnSignature, RedirectTo, RedirectsConfig};
use crate::redirect::cdn::CloudFrontKey;

/// Shorter ones end before slow clients have begun.
const SHORTEST: Duration = Duration::from_mins(1);
/// Buckets sign for no longer.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// Of a shorter secret it is a question of time until somebody has guessed it.
const LEAST_SECRET: usize = 32;

/// What is wrong: the field, and the message.
type Found = Vec<(&'static str, String)>;

impl RedirectsConfig {
    /// Settings that do not go together: the field, and what is wrong.
    pub fn contradictions(&self, has_bucket: bool) -> Found {
        let mut found = Found::new();
        if !(SHORTEST..=LONGEST).contains(&self.lifetime) {
            found.push(("lifetime", format!("must be from one minute to seven days, not {:?}", self.lifetime)));
        }
        if self.to != RedirectTo::Off {
            self.check_store(has_bucket, &mut found);
            self.check_own(&mut found);
            self.check_cdn(&mut found);
            found.extend(self.base_url.as_ref().and_then(|url| self.check_base(url)).map(|text| ("base_url", text)));
            self.check_secrets(&mut found);
        }
        found
    }

    /// What can work, but not for most clients; `store` is where they find the bucket.
    pub fn doubts(&self, store: Option<&Url>) -> Vec<String> {
        let store = store.filter(|_| self.to == RedirectTo::Store);
        let base = self.base_url.as_ref().filter(|_| self.to != RedirectTo::Off);
        let plain = [base, store].into_iter().flatten().filter(|url| url.scheme() == "http");
        plain.map(|url| format!("sends clients to {url} without TLS, which most refuse")).collect()
    }

    fn check_store(&self, has_bucket: bool, found: &mut Found) {
        if has_bucket {
            return;
        }
        let message = "\"store\" needs a bucket, see storage.url: a folder has no URLs";
        match (self.to, self.cdn_origin) {
            (RedirectTo::Store, _) => found.push(("to", message.to_owned())),
            (RedirectTo::Cdn, CdnOrigin::Store) => found.push(("cdn_origin", message.to_owned())),
            _ => {}
        }
    }

    fn check_own(&self, found: &mut Found) {
        let needs_base = matches!(self.to, RedirectTo::Own | RedirectTo::Cdn) || self.secret.is_some();
        let needs_secret = match self.to {
            RedirectTo::Cdn => self.cdn_origin == CdnOrigin::Own,
            _ => self.to == RedirectTo::Own || self.base_url.is_some(),
        };
        if needs_base && self.base_url.is_none() {
            found.push(("base_url", "is required: it is where clients are sent".to_owned()));
        }
        if needs_secret && self.secret.is_none() {
            found.push(("secret", "is required: it signs our own URLs".to_owned()));
        }
        if self.secret.is_none() && !self.former_secrets.is_empty() {
            found.push(("former_secrets", "needs redirects.secret".to_owned()));
        }
    }

    fn check_cdn(&self, found: &mut Found) {
        let signature = (self.to == RedirectTo::Cdn).then_some(self.cdn_signature);
        let has_secret = matches!(signature, Some(CdnSignature::SecureLink | CdnSignature::Hmac));
        let has_key = signature == Some(CdnSignature::CloudFront);
        for (field, is_set, is_needed) in [
            ("cdn_secret", self.cdn_secret.is_some(), has_secret),
            ("cdn_key_file", self.cdn_key_file.is_some(), has_key),
            ("cdn_key_pair_id", self.cdn_key_pair_id.is_some(), has_key),
        ] {
            if is_needed && !is_set {
                found.push((field, "is required by redirects.cdn_signature".to_owned()));
            } else if is_set && !is_needed {
                found.push((field, "belongs to another redirects.cdn_signature".to_owned()));
            }
        }
    }

    fn check_base(&self, url: &Url) -> Option<String> {
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        match url.scheme() {
            "https" | "http" if !is_plain || url.host().is_none() => {
                Some(format!("must be a host and perhaps a path, not {url}"))
            }
            "https" => None,
            "http" if self.allow_http => None,
            "http" => Some(format!("{url} is not encrypted, and clients refuse it: use https://")),
            _ => Some(format!("must begin with https://, not {url}")),
        }
    }

    fn check_secrets(&self, found: &mut Found) {
        let secrets = [("secret", &self.secret), ("cdn_secret", &self.cdn_secret)];
        let secrets = secrets.into_iter().filter_map(|(field, secret)| Some((field, secret.as_ref()?)));
        let secrets = secrets.chain(self.former_secrets.iter().map(|secret| ("former_secrets", secret)));
        let short = secrets.filter(|(_, secret)| secret.expose().chars().count() < LEAST_SECRET);
        found.extend(short.map(|(field, _)| (field, format!("must have at least {LEAST_SECRET} characters"))));
    }

    /// Files that are named but cannot be used: the field, and what is wrong.
    pub fn unusable_files(&self) -> Vec<(&'static str, String)> {
        let is_used = self.to == RedirectTo::Cdn && self.cdn_signature == CdnSignature::CloudFront;
        let key = self.cdn_key_file.as_deref().filter(|_| is_used).map(|file| CloudFrontKey::load(file, ""));
        key.and_then(Result::err).map(|error| ("cdn_key_file", error)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use heliograph_types::Secret;

    use super::*;

    fn secret(letter: &str) -> Secret<String> {
        Secret::new(letter.repeat(32))
    }

    fn good() -> RedirectsConfig {
        RedirectsConfig {
            to: RedirectTo::Own,
            base_url: Some("https://media.example.org".parse().unwrap()),
            secret: Some(secret("s")),
            ..RedirectsConfig::default()
        }
    }

    fn wrong(config: &RedirectsConfig) -> Vec<&'static str> {
        config.contradictions(true).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn what_each_target_needs_is_asked_for() {
        let bare = |to| RedirectsConfig { to, ..RedirectsConfig::default() };

        assert_eq!(wrong(&bare(RedirectTo::Off)), [""; 0]);
        assert_eq!(wrong(&bare(RedirectTo::Store)), [""; 0]);
        assert_eq!(wrong(&bare(RedirectTo::Own)), ["base_url", "secret"]);
        assert_eq!(wrong(&bare(RedirectTo::Cdn)), ["base_url", "secret"]);
        assert_eq!(wrong(&RedirectsConfig { cdn_origin: CdnOrigin::Store, ..bare(RedirectTo::Cdn) }), ["base_url"]);
        assert_eq!(wrong(&good()), [""; 0]);
    }

    #[test]
    fn what_is_half_set_is_told() {
        let base = RedirectsConfig { to: RedirectTo::Store, secret: None, ..good() };
        let secret_alone = RedirectsConfig { to: RedirectTo::Store, base_url: None, ..good() };
        let former =
            RedirectsConfig { to: RedirectTo::Store, former_secrets: vec![secret("s")], ..RedirectsConfig::default() };

        assert_eq!(wrong(&base), ["secret"]);
        assert_eq!(wrong(&secret_alone), ["base_url"]);
        assert_eq!(wrong(&former), ["former_secrets"]);
    }

    #[test]
    fn only_a_bucket_has_urls() {
        let store = RedirectsConfig { to: RedirectTo::Store, ..RedirectsConfig::default() };
        let cdn = RedirectsConfig { to: RedirectTo::Cdn, cdn_origin: CdnOrigin::Store, ..good() };

        assert_eq!(store.contradictions(false)[0].0, "to");
        assert_eq!(cdn.contradictions(false)[0].0, "cdn_origin");
        assert!(good().contradictions(false).is_empty());
    }

    #[test]
    fn each_signature_has_settings_of_its_own() {
        let with = |cdn_signature, cdn_secret, key: bool| RedirectsConfig {
            to: RedirectTo::Cdn,
            cdn_signature,
            cdn_secret,
            cdn_key_file: key.then(|| PathBuf::from("/key")),
            cdn_key_pair_id: key.then(|| "K".to_owned()),
            ..good()
        };
        let long = || Some(secret("c"));

        assert_eq!(wrong(&with(CdnSignature::None, None, false)), [""; 0]);
        assert_eq!(wrong(&with(CdnSignature::None, long(), false)), ["cdn_secret"]);
        assert_eq!(wrong(&with(CdnSignature::SecureLink, None, false)), ["cdn_secret"]);
        assert_eq!(wrong(&with(CdnSignature::SecureLink, long(), false)), [""; 0]);
        assert_eq!(wrong(&with(CdnSignature::Hmac, long(), true)), ["cdn_key_file", "cdn_key_pair_id"]);
        assert_eq!(wrong(&with(CdnSignature::CloudFront, None, false)), ["cdn_key_file", "cdn_key_pair_id"]);
        assert_eq!(wrong(&with(CdnSignature::CloudFront, None, true)), [""; 0]);
        assert_eq!(
            wrong(&RedirectsConfig { to: RedirectTo::Own, ..with(CdnSignature::Hmac, long(), false) }),
            ["cdn_secret"]
        );
    }

    #[test]
    fn clients_are_sent_to_https_alone() {
        let with =
            |url: &str, allow_http| RedirectsConfig { base_url: Some(url.parse().unwrap()), allow_http, ..good() };

        assert_eq!(wrong(&with("https://media.example.org/path", false)), [""; 0]);
        assert_eq!(wrong(&with("http://media.example.org", false)), ["base_url"]);
        assert_eq!(wrong(&with("http://media.example.org", true)), [""; 0]);
        for url in ["ftp://a.example", "https://a.example/?x=1", "https://a.example/#x", "https://user@a.example/"] {
            assert_eq!(wrong(&with(url, true)), ["base_url"], "{url}");
        }
    }

    #[test]
    fn secrets_are_long_and_lives_neither_short_nor_long() {
        let short = || Some(Secret::new("too short".to_owned()));
        let former = vec![Secret::new("s".repeat(31))];
        assert_eq!(
            wrong(&RedirectsConfig { secret: short(), former_secrets: former, ..good() }),
            ["secret", "former_secrets"]
        );
        for (seconds, is_wrong) in [(59, true), (60, false), (604_800, false), (604_801, true)] {
            let config = RedirectsConfig { lifetime: Duration::from_secs(seconds), ..good() };
            assert_eq!(!wrong(&config).is_empty(), is_wrong, "{seconds}");
        }
    }
}
