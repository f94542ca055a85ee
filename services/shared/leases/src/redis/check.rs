//! Whether the settings of Redis go together and their files can be used; before anything starts.

use super::{
    dial::Address,
    place::{Form, Place, read_password},
    tls::{read_certificates, read_key},
};
use crate::StateConfig;

const FREE: &str = "needs a redis_url, without a password in it";
const TLS: &str = "needs a redis_url that begins with rediss";
const SENTINEL: &str = "needs a redis_url that begins with redis+sentinel";

impl StateConfig {
    /// Settings that do not go together: the field, and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let place = match self.redis_url.as_ref().map(Place::read).transpose() {
            Ok(place) => place,
            // Of what goes with a URL that cannot be read nothing more is said.
            Err(error) => {
                return vec![("redis_url", format!("must be a URL such as redis://host:6379/0: {error}"))];
            }
        };
        let needed = self.needed(place.as_ref());
        needed.into_iter().filter(|need| need.is_set && !need.holds).map(|need| (need.field, need.message)).collect()
    }

    fn needed(&self, place: Option<&Place>) -> Vec<Need> {
        let is = |what: fn(&Place) -> bool| place.is_some_and(what);
        let (password, password_file) = (self.redis_password.is_some(), self.redis_password_file.is_some());
        let (chain, key) = (self.redis_client_cert_file.is_some(), self.redis_client_key_file.is_some());
        let (of_sentinels, file_of_sentinels) =
            (self.sentinel_password.is_some(), self.sentinel_password_file.is_some());
        let is_free = is(|place| place.login.password().is_none());
        let is_sentinel = is(|place| matches!(place.form, Form::Sentinel(_)));
        let is_tls = is(|place| place.is_tls);
        [
            ("redis_password", password, is_free, FREE),
            ("redis_password_file", password_file, is_free, FREE),
            ("redis_password_file", password_file, !password, "is of no use with redis_password"),
            ("redis_ca_file", self.redis_ca_file.is_some(), is_tls, TLS),
            ("redis_client_cert_file", chain, is_tls, TLS),
            ("redis_client_cert_file", chain, key, "needs redis_client_key_file"),
            ("redis_client_key_file", key, is_tls, TLS),
            ("redis_client_key_file", key, chain, "needs redis_client_cert_file"),
            (
                "sentinel_username",
                self.sentinel_username.is_some(),
                of_sentinels || file_of_sentinels,
                "needs sentinel_password",
            ),
            ("sentinel_password", of_sentinels, is_sentinel, SENTINEL),
            ("sentinel_password_file", file_of_sentinels, is_sentinel, SENTINEL),
            ("sentinel_password_file", file_of_sentinels, !of_sentinels, "is of no use with sentinel_password"),
        ]
        .map(|(field, is_set, holds, message)| Need { field, is_set, holds, message: message.to_owned() })
        .into()
    }

    /// Files that are named but cannot be used: the field, and what is wrong.
    pub fn unusable_files(&self) -> Vec<(&'static str, String)> {
        let certificates = |file: &Option<_>| file.as_deref().map(|path| read_certificates(path).map(drop));
        let password = |file: &Option<_>| file.as_deref().map(|path| read_password(path).map(drop));
        let files = [
            ("redis_password_file", password(&self.redis_password_file)),
            ("redis_ca_file", certificates(&self.redis_ca_file)),
            ("redis_client_cert_file", certificates(&self.redis_client_cert_file)),
            ("redis_client_key_file", self.redis_client_key_file.as_deref().map(|path| read_key(path).map(drop))),
            ("sentinel_password_file", password(&self.sentinel_password_file)),
        ];
        files.into_iter().filter_map(|(field, checked)| Some((field, checked?.err()?))).collect()
    }

    /// Where Redis is, in words and without a password. Empty if it is not set, or not understood.
    pub fn redis_place(&self) -> String {
        let place = self.redis_url.as_ref().and_then(|url| Place::read(url).ok());
        place.map(|place| place.to_string()).unwrap_or_default()
    }

    /// The hosts and ports that `redis_url` names; none for a socket file.
    pub fn redis_hosts(&self) -> Vec<(String, u16)> {
        let place = self.redis_url.as_ref().and_then(|url| Place::read(url).ok());
        let addresses = place.into_iter().flat_map(|place| place.addresses);
        addresses
            .filter_map(|address| match address {
                Address::Tcp(host, port) => Some((host, port)),
                Address::Unix(_) => None,
            })
            .collect()
    }
}

/// What a setting needs if it is set.
struct Need {
    field: &'static str,
    is_set: bool,
    holds: bool,
    message: String,
}

#[cfg(test)]
mod tests {
    use heliograph_types::Secret;

    use super::*;

    #[test]
    fn settings_that_do_not_go_together_are_told() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let file = || Some("/nowhere".into());
        let with = |url: &str, change: fn(&mut StateConfig)| {
            let mut config = StateConfig { redis_url: secret(url), ..StateConfig::default() };
            change(&mut config);
            config.contradictions().into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };

        assert_eq!(with("rediss://a", |_| ()), [""; 0]);
        assert_eq!(with("nonsense", |config| config.redis_ca_file = Some("/x".into())), ["redis_url"]);
        let both = |config: &mut StateConfig| {
            (config.redis_client_cert_file, config.redis_client_key_file) = (Some("/c".into()), Some("/k".into()));
        };
        assert_eq!(with("rediss://a", both), [""; 0]);
        assert_eq!(with("redis+cluster://a", both), ["redis_client_cert_file", "redis_client_key_file"]);
        let alone = |config: &mut StateConfig| config.redis_client_cert_file = Some("/c".into());
        assert_eq!(with("rediss://a", alone), ["redis_client_cert_file"]);
        let password = |config: &mut StateConfig| config.redis_password = Some(Secret::new("x".to_owned()));
        assert_eq!(with("redis://a", password), [""; 0]);
        assert_eq!(with("redis://:y@a", password), ["redis_password"]);
        let sentinel = |config: &mut StateConfig| config.sentinel_password_file = Some("/p".into());
        assert_eq!(with("redis+sentinel://a/main", sentinel), [""; 0]);
        assert_eq!(with("redis://a", sentinel), ["sentinel_password_file"]);
        let without = StateConfig { redis_password_file: file(), ..StateConfig::default() };
        assert_eq!(without.contradictions()[0].0, "redis_password_file");
        assert_eq!(without.unusable_files()[0].0, "redis_password_file");
    }
}
