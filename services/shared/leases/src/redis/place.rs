//! What the settings say of where Redis is, in each of its forms.

use std::{fmt, path::Path};

use heliograph_types::Secret;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use super::dial::Address;
use crate::StateConfig;

/// Where sentinels listen if nothing else is said.
const SENTINEL_PORT: u16 = 26379;

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
pub(super) fn read_password(path: &Path) -> Result<String, String> {
    let bad = |reason: String| format!("{}: {reason}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(bad("there is no password in it".to_owned())),
        password => Ok(password.to_owned()),
    }
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
}
