//! Which instances there are, by name.

use std::{collections::BTreeSet, fmt, io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use tokio::{net::lookup_host, time::timeout};
use url::Url;

/// More instances of one role are not used: each is a connection.
const MOST_INSTANCES: usize = 256;
/// A name that is not answered in this time is not known.
const PATIENCE: Duration = Duration::from_secs(5);

/// Knows the addresses of names.
#[async_trait]
pub trait Names: fmt::Debug + Send + Sync + 'static {
    /// All addresses of `host`, with this port.
    async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the system: its hosts file, its nameservers and their search list, as every other program
/// on the machine does.
#[derive(Debug, Clone, Copy)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }
}

/// Every instance behind these URLs (`http://host:port`), in the order of their addresses. An
/// error if one name cannot be found: who could not be asked about may well be there.
pub async fn find_instances(urls: &[Url], names: &dyn Names) -> Result<Vec<SocketAddr>, String> {
    let mut found = BTreeSet::new();
    for url in urls {
        let (host, port) = host_and_port(url);
        let addresses = timeout(PATIENCE, names.find(&host, port)).await;
        let addresses = addresses.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let addresses = addresses.map_err(|error| format!("{host} cannot be looked up: {error}"))?;
        if addresses.is_empty() {
            return Err(format!("{host} has no address"));
        }
        found.extend(of_one_kind(addresses));
    }
    if found.len() > MOST_INSTANCES {
        tracing::warn!(found = found.len(), most = MOST_INSTANCES, "not all instances are used");
    }
    Ok(found.into_iter().take(MOST_INSTANCES).collect())
}

fn host_and_port(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default();
    (host.trim_matches(['[', ']']).to_owned(), url.port_or_known_default().unwrap_or_default())
}

/// An instance with an address of each kind is one, not two: if there are any of IPv4, those.
fn of_one_kind(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv4);
    if v4.is_empty() { v6 } else { v4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows one name.
    #[derive(Debug)]
    struct Known(Vec<&'static str>);

    #[async_trait]
    impl Names for Known {
        async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            match host {
                "known" => Ok(self.0.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect()),
                "silent" => std::future::pending().await,
                _ => SystemNames.find(host, port).await,
            }
        }
    }

    async fn found(urls: &[&str], known: &[&'static str]) -> Result<Vec<String>, String> {
        let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
        let found = find_instances(&urls, &Known(known.to_vec())).await?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_behind_all_urls_are_instances() {
        let found_of = async |urls: &[&str]| found(urls, &["10.0.0.2", "10.0.0.1", "fd00::1"]).await;

        assert_eq!(found_of(&["http://known:8100"]).await.unwrap(), ["10.0.0.1:8100", "10.0.0.2:8100"]);
        let several = ["http://10.0.0.1:8100", "http://known:8100", "http://[::1]:9", "http://10.0.0.3"];
        let expected = ["10.0.0.1:8100", "10.0.0.2:8100", "10.0.0.3:80", "[::1]:9"];
        assert_eq!(found_of(&several).await.unwrap(), expected);
        assert_eq!(found(&["http://known:1"], &["fd00::1"]).await.unwrap(), ["[fd00::1]:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_not_known_or_not_answered_is_an_error() {
        assert_eq!(found(&["http://known:1"], &[]).await.unwrap_err(), "known has no address");
        let silent = found(&["http://10.0.0.1:1", "http://silent:1"], &[]).await.unwrap_err();
        assert!(silent.starts_with("silent cannot be looked up"), "{silent}");
    }
}
