//! What the settings say of where Redis is, in each of its forms.

use std::{fmt, path::Path};

use heliograph_types::Secret;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use super::{
    dial::Address,
    tls::{read_certificates, read_key},
};
use crate::StateConfig;

/// Where sentinels listen if nothing else is said.
const SENTINEL_PORT: u16 = 26379;

const FREE: &str = "needs a redis_url, without a password in it";
const TLS: &str = "needs a redis_url that begins with rediss";
const SENTINEL: &str = "needs a redis_url that begins with redis+sentinel";

/// How the servers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// One server.
    Single,
    /// Whichever server the sentinels name as the master of this service.
    Sentinel(String),
    /// Servers of which each has some of the keys.
    Cluster,
}

/// Where Redis is, as a URL says.
pub(super) struct Place {
    pub(super) form: Form,
    pub(super) is_tls: bool,
    /// The server; or the sentinels; or some of the servers of the cluster.
    pub(super) addresses: Vec<Address>,
    /// As whom the servers know us.
    pub(super) login: RedisConnectionInfo,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(",");
        match &self.form {
            Form::Single => f.write_str(&addresses),
            Form::Sentinel(service) => write!(f, "{service} behind sentinels {addresses}"),
            Form::Cluster => write!(f, "cluster {addresses}"),
        }
    }
}

impl Place {
    /// Reads a URL. The error does not show it.
    pub(super) fn read(url: &Secret<String>) -> Result<Self, String> {
        let parts = Parts::of(url.expose()).ok_or("it has no scheme")?;
        match parts.scheme {
            "redis" | "valkey" => parts.single(false),
            "rediss" | "valkeys" => parts.single(true),
            "unix" | "redis+unix" | "valkey+unix" => socket_file(url.expose()),
            "redis+sentinel" => parts.sentinel(false),
            "rediss+sentinel" => parts.sentinel(true),
            "redis+cluster" => parts.cluster(false),
            "rediss+cluster" => parts.cluster(true),
            other => Err(format!("there is no scheme {other}")),
        }
    }

    fn of(form: Form, is_tls: bool, hosts: &[ConnectionInfo]) -> Result<Self, String> {
        // Name and password are the same for all, and so of any.
        let login = hosts.first().ok_or("it names no host")?.redis_settings().clone();
        let addresses: Result<Vec<Address>, String> = hosts.iter().map(|host| address(host.addr())).collect();
        // Scores come as text in this version, and so without loss.
        Ok(Self { form, is_tls, addresses: addresses?, login: login.set_protocol(ProtocolVersion::RESP2) })
    }
}

/// `scheme://login@hosts/path`.
struct Parts<'a> {
    scheme: &'a str,
    /// With its `@`; empty if there is none.
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Some(Self { scheme, login, hosts, path: path.trim_matches('/') })
    }

    fn single(&self, is_tls: bool) -> Result<Place, String> {
        if self.hosts.contains(',') {
            return Err("it names several hosts: those of a cluster stand behind redis+cluster://, sentinels behind \
                        redis+sentinel://"
                .to_owned());
        }
        Place::of(Form::Single, is_tls, &[self.read_host(self.hosts, self.path)?])
    }

    fn sentinel(&self, is_tls: bool) -> Result<Place, String> {
        let (service, database) = self.path.split_once('/').unwrap_or((self.path, ""));
        // What Redis itself takes for such a name.
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if service.is_empty() || !service.chars().all(is_name) {
            return Err("behind the sentinels it must name the service, such as /mymaster".to_owned());
        }
        let hosts: Result<Vec<_>, _> = self
            .hosts
            .split(',')
            .map(|host| {
                let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
                let host = if has_port { host.to_owned() } else { format!("{host}:{SENTINEL_PORT}") };
                self.read_host(&host, database)
            })
            .collect();
        Place::of(Form::Sentinel(service.to_owned()), is_tls, &hosts?)
    }

    fn cluster(&self, is_tls: bool) -> Result<Place, String> {
        if !matches!(self.path, "" | "0") {
            return Err("a cluster has no databases".to_owned());
        }
        let hosts: Result<Vec<_>, _> = self.hosts.split(',').map(|host| self.read_host(host, "")).collect();
        Place::of(Form::Cluster, is_tls, &hosts?)
    }

    /// One host with the login of all, as the library reads it. Whether it is TLS it need not know.
    fn read_host(&self, host: &str, database: &str) -> Result<ConnectionInfo, String> {
        if database.contains(['#', '?']) || host.contains(['#', '?']) {
            return Err("it has more than a place and a database".to_owned());
        }
        let url = format!("redis://{}{host}/{database}", self.login);
        url.into_connection_info().map_err(|error| error.to_string())
    }
}

fn socket_file(url: &str) -> Result<Place, String> {
    let server = url.into_connection_info().map_err(|error| error.to_string())?;
    Place::of(Form::Single, false, &[server])
}

fn address(of: &ConnectionAddr) -> Result<Address, String> {
    match of {
        ConnectionAddr::Tcp(host, port) => Ok(Address::Tcp(host.clone(), *port)),
        ConnectionAddr::Unix(path) => Ok(Address::Unix(path.clone())),
        _ => Err("it is no place that we know to reach".to_owned()),
    }
}

/// What the settings say of Redis, or what is wrong with them, by field.
pub(super) fn read(config: &StateConfig) -> Result<Place, (&'static str, String)> {
    let url = config.redis_url.as_ref().ok_or(("redis_url", "it is not set".to_owned()))?;
    let mut place = Place::read(url).map_err(|reason| ("redis_url", reason))?;
    if let Some(password) = password(config.redis_password.as_ref(), config.redis_password_file.as_deref())
        .map_err(|reason| ("redis_password_file", reason))?
    {
        place.login = place.login.set_password(password);
    }
    Ok(place)
}

/// As whom sentinels know us: they have no databases, and a name and password of their own.
pub(super) fn sentinel_login(config: &StateConfig) -> Result<RedisConnectionInfo, (&'static str, String)> {
    let mut login = RedisConnectionInfo::default();
    if let Some(name) = &config.sentinel_username {
        login = login.set_username(name);
    }
    let password = password(config.sentinel_password.as_ref(), config.sentinel_password_file.as_deref());
    if let Some(password) = password.map_err(|reason| ("sentinel_password_file", reason))? {
        login = login.set_password(password);
    }
    Ok(login)
}

fn password(set: Option<&Secret<String>>, file: Option<&Path>) -> Result<Option<String>, String> {
    if let Some(path) = file {
        return read_password(path).map(Some);
    }
    Ok(set.map(|password| password.expose().clone()))
}

/// Editors and shells end files with a line break that is not meant.
fn read_password(path: &Path) -> Result<String, String> {
    let bad = |reason: String| format!("{}: {reason}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(bad("there is no password in it".to_owned())),
        password => Ok(password.to_owned()),
    }
}

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
    use super::*;

    fn place(url: &str) -> Result<Place, String> {
        Place::read(&Secret::new(url.to_owned()))
    }

    #[test]
    fn every_form_is_understood() {
        for (url, told, is_tls) in [
            ("redis://host", "host:6379", false),
            ("rediss://host:1/2", "host:1", true),
            ("redis://[::1]:7/0", "[::1]:7", false),
            ("valkey://host/", "host:6379", false),
            ("redis+unix:///run/redis.sock?db=3", "/run/redis.sock", false),
            ("unix:///run/redis.sock", "/run/redis.sock", false),
            ("redis+sentinel://a,b:1,[::2]/main", "main behind sentinels a:26379,b:1,[::2]:26379", false),
            ("rediss+sentinel://a/my-master.1/3", "my-master.1 behind sentinels a:26379", true),
            ("redis+cluster://a,b:7000", "cluster a:6379,b:7000", false),
            ("rediss+cluster://a/0", "cluster a:6379", true),
        ] {
            let place = place(url).unwrap_or_else(|error| panic!("{url}: {error}"));

            assert_eq!((place.to_string(), place.is_tls), (told.to_owned(), is_tls), "{url}");
        }
    }

    #[test]
    fn name_password_and_database_are_those_of_the_servers() {
        for (url, database) in [
            ("redis://us:a%40b@host/3", 3),
            ("redis+sentinel://us:a%40b@a,b/main/3", 3),
            ("redis+cluster://us:a%40b@a,b", 0),
            ("redis+sentinel://us:a%40b@a/main", 0),
        ] {
            let login = place(url).unwrap().login;

            assert_eq!((login.username(), login.password(), login.db()), (Some("us"), Some("a@b"), database), "{url}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_without_a_password() {
        for url in [
            "redis://",
            "redis://us:hunter2@a,b",
            "redis://us:hunter2@a/0#insecure",
            "rediss://us:hunter2@a/#insecure",
            "redis://us:hunter2@a/x",
            "redis://us:hunter2@a/0?protocol=resp3",
            "redis+sentinel://us:hunter2@a,b",
            "redis+sentinel://us:hunter2@a,,b/main",
            "redis+sentinel://us:hunter2@a/not a name",
            "redis+sentinel://us:hunter2@a/main/x",
            "redis+cluster://us:hunter2@a,b/1",
            "redis+cluster://",
            "redis-cluster://us:hunter2@a",
            "hunter2",
        ] {
            let error = place(url).err().unwrap_or_else(|| panic!("{url}"));

            assert!(!error.contains("hunter2"), "{error}");
        }
    }

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
