//! Settings of the HTTP front.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    time::Duration,
};

use bytesize::ByteSize;

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
        /// The longest wait for content that is not yet uploaded, whatever `timeout_ms` says.
        pub max_wait: Duration = Duration::from_mins(1),
        /// Requests that may wait so at once; more are answered 504 `M_NOT_YET_UPLOADED` at
        /// once. Each costs a few KiB.
        pub max_waiting: usize = 10_000,
        /// The longest file name that is accepted with an upload, in bytes; a longer one is
        /// refused with 400 `M_INVALID_PARAM`.
        pub max_file_name_bytes: usize = 4096,
        /// Memory for small files and thumbnails that are asked for often.
        pub hot_bytes: ByteSize = ByteSize::mib(32),
        /// The largest file that is kept there.
        pub hot_file_bytes: ByteSize = ByteSize::kib(256),
    }
}
