//! Settings of the HTTP front.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    time::Duration,
};

use bytesize::ByteSize;
use heliograph_types::{Mxc, StoreName, Timestamp, UserId};
use ipnet::IpNet;

heliograph_settings::settings! {
    /// The HTTP front.
    pub struct ApiConfig {
        /// Where clients, other servers and the reverse proxy find us. Speaks plain HTTP:
        /// TLS is the proxy's.
        pub listen: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8000),
        /// Threads that speak HTTP, at most 1024; one per core if not set.
        pub workers: Option<NonZeroUsize> = None,
        /// Connections open at once, shared out evenly among the threads; more wait to be
        /// accepted.
        pub max_connections: usize = 25_000,
        /// How long a client may take to send the head of a request.
        pub head_timeout: Duration = Duration::from_secs(30),
        /// How long a body may stand still; then the upload is given up with 408.
        pub body_timeout: Duration = Duration::from_secs(30),
        /// How much of the body of a refused upload is read and dropped, so that the client
        /// sees the answer and not a broken connection.
        pub drained_bytes: ByteSize = ByteSize::mib(128),
        /// Whether the token may stand in the query (`access_token`), as old clients send
        /// it. Deprecated by the specification since v1.11.
        pub query_token: bool = true,
        /// From when on new media is given out only to those with a token, such as
        /// `2026-01-01T00:00:00Z`. What was complete here before, and copies of remote media
        /// that were made before, stay available without one. Without it all media can be had
        /// by anyone who knows its id, as before version 1.11 of the specification, which
        /// recommends to set it. Use the time at which you set it up.
        pub freeze_since: Option<Timestamp> = None,
        /// Media that anyone gets all the same, such as the icons of identity providers that
        /// clients show before somebody has logged in.
        pub freeze_exempt: Vec<Mxc> = Vec::new(),
        /// Whether media is given out without a token at all. `false` answers the paths below
        /// `/_matrix/media` that need none with 404 `M_UNRECOGNIZED`; old clients, and servers
        /// older than version 1.11, then get no media.
        pub legacy_media: bool = true,
        /// Whether the paths of MSC1902 (`/_matrix/client/r0/media/…`) are there. Nobody is
        /// known to need them.
        pub msc1902_paths: bool = true,
        /// Answers every download as an attachment, whatever its type: browsers show nothing
        /// by themselves then.
        pub always_attachment: bool = false,
        /// Users who may use the admin endpoints, for the media of all homeservers.
        pub administrators: Vec<UserId> = Vec::new(),
        /// Whether administrators of a homeserver may use them as well, for its media. Their
        /// homeserver is asked.
        pub homeserver_administrators: bool = true,
        /// Reverse proxies: whose `X-Forwarded-For` is believed when requests are counted by
        /// address.
        pub proxies: Vec<IpNet> = private_networks(),
        /// The longest wait for content that is not yet uploaded, whatever `timeout_ms` says.
        pub max_wait: Duration = Duration::from_mins(1),
        /// Requests that may wait so at once; more are answered 504 `M_NOT_YET_UPLOADED` at
        /// once. Each costs a few KiB.
        pub max_waiting: usize = 10_000,
        /// The longest file name that is accepted with an upload, in bytes; a longer one is
        /// refused with 400 `M_INVALID_PARAM`.
        pub max_file_name_bytes: usize = 4096,
        /// The `[[store]]` that takes what is uploaded through this process, by its name; without
        /// it, the one of `[storage]`. What is uploaded straight into a bucket names its store
        /// itself.
        pub upload_store: Option<StoreName> = None,
        /// Memory for small files and thumbnails that are asked for often.
        pub hot_bytes: ByteSize = ByteSize::mib(32),
        /// The largest file that is kept there.
        pub hot_file_bytes: ByteSize = ByteSize::kib(256),
    }
}

/// Where nobody but our own proxies connects from: from outside one cannot.
fn private_networks() -> Vec<IpNet> {
    let ranges = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
    ranges.iter().filter_map(|range| range.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_private_networks_can_be_read() {
        assert_eq!(super::private_networks().len(), 6);
    }
}
