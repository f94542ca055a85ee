//! Settings of a point of presence.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use heliograph_types::StoreName;
use ipnet::IpNet;
use url::Url;

const CACHED_FILES: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

heliograph_settings::settings! {
    /// A point of presence (`heliograph edge`): one process near its users that keeps copies of
    /// what they read and passes everything else on. Nothing of the other sections is needed
    /// for it but `data.folder`, `[process]` and `[telemetry]`.
    pub struct EdgeConfig {
        /// Where the core is reached, such as `https://media.example.org`. It may be a private
        /// address. Required.
        pub upstream: Option<Url> = None,
        /// A file with certificate authorities (PEM) to trust besides those of the system when
        /// the core, or the bucket, is asked.
        pub ca_file: Option<PathBuf> = None,
        /// Where clients and the reverse proxy of this place find us. Speaks plain HTTP: TLS is
        /// the proxy's.
        pub listen: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8300),
        /// Threads that speak HTTP, at most 1024; one per core if not set.
        pub workers: Option<NonZeroUsize> = None,
        /// Connections open at once, shared out evenly among the threads; more wait to be
        /// accepted.
        pub max_connections: usize = 25_000,
        /// How long a client may take to send the head of a request.
        pub head_timeout: Duration = Duration::from_secs(30),
        /// How long a body may stand still, on its way in or out; then an upload is given up
        /// with 408, and a download breaks off.
        pub body_timeout: Duration = Duration::from_secs(30),
        /// How long a connection to the core or to the bucket, TLS included, may take; then 502.
        pub connect_timeout: Duration = Duration::from_secs(10),
        /// How long the core may take to begin its answer; then 502. Longer than the longest
        /// wait for content that is not yet uploaded (`api.max_wait` of the core).
        pub answer_timeout: Duration = Duration::from_mins(3),
        /// How much of the body of a refused upload is read and dropped, so that the client
        /// sees the answer and not a broken connection.
        pub drained_bytes: ByteSize = ByteSize::mib(128),
        /// Reverse proxies of this place: whose `X-Forwarded-For` is believed. The core is told
        /// the address of the client, and believes it if this edge is among its `api.proxies`.
        pub proxies: Vec<IpNet> = private_networks(),
        /// The folder for copies. Without it, `edge` in `data.folder`. It can be emptied while
        /// the edge is stopped.
        pub cache_folder: Option<PathBuf> = None,
        /// How much disk the copies may take; what was not asked for longest makes room.
        pub cache_bytes: ByteSize = ByteSize::gib(10),
        /// How many copies there may be, about 300 bytes of memory and a few files each; what was
        /// not asked for longest makes room.
        pub max_cached_files: NonZeroUsize = CACHED_FILES,
        /// A larger file is passed on and not kept.
        pub max_cached_file_bytes: ByteSize = ByteSize::gib(1),
        /// For how long a copy is given to the same caller, for the same request, without asking
        /// the core again. With 0 the core is asked each time: what is quarantined or deleted,
        /// and a token that has ended, end here at once. With more, that late.
        pub fresh_for: Duration = Duration::ZERO,
        /// What the core calls the bucket of this region: a `[[store]]` of its. Uploads go there.
        /// Without it, into the usual one.
        pub store: Option<StoreName> = None,
        /// Whether uploads go straight into the bucket, if the core tells where (`uploads.direct`
        /// of the core). Otherwise they go through the core.
        pub direct: bool = true,
    }
}

/// Where nobody but our own proxies connects from: from outside one cannot.
fn private_networks() -> Vec<IpNet> {
    let ranges = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
    ranges.iter().filter_map(|range| range.parse().ok()).collect()
}

impl EdgeConfig {
    /// Contradictions between settings: the key and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let Some(url) = &self.upstream else {
            return vec![("upstream", "is required by `heliograph edge`".to_owned())];
        };
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty();
        if is_plain { Vec::new() } else { vec![("upstream", "must be like https://media.example.org".to_owned())] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_private_networks_can_be_read() {
        assert_eq!(private_networks().len(), 6);
    }

    #[test]
    fn the_core_is_a_place_without_a_path() {
        let with =
            |url: &str| EdgeConfig { upstream: url.parse().ok(), ..EdgeConfig::default() }.contradictions().len();

        for good in ["https://media.example.org", "http://10.0.0.1:8000/"] {
            assert_eq!(with(good), 0, "{good}");
        }
        for bad in ["", "ftp://a", "https://a/b", "https://a/?b", "https://user@a"] {
            assert_eq!(with(bad), 1, "{bad}");
        }
    }
}
