//! Settings of the shared state.

use std::{path::PathBuf, time::Duration};

use heliograph_types::Secret;

heliograph_settings::settings! {
    /// Coordination between instances: leases, signals, limits, caches, indexes, ledgers.
    pub struct StateConfig {
        /// Where Redis is. Without it the state is embedded: right for one process, wrong for several. One
        /// server: `redis://name:password@host:6379/0`, or its socket file: `redis+unix:///run/redis.sock`.
        /// A server and its replicas, watched by sentinels:
        /// `redis+sentinel://name:password@host1:26379,host2:26379,host3:26379/mymaster/0`, where the hosts
        /// are the sentinels, `mymaster` is what they call the service, and all else is of the servers. A
        /// cluster: `redis+cluster://name:password@host1:6379,host2:6379`, with some of its servers, which
        /// tell of the others. Name, password and database (the number at the end) can be left out. Over TLS:
        /// `rediss://`, `rediss+sentinel://` (to the sentinels too), `rediss+cluster://`; the certificates
        /// must then be for the addresses by which sentinels and cluster name the servers.
        pub redis_url: Option<Secret<String>> = None,
        /// The password of the servers, if it is not to stand in `redis_url`.
        pub redis_password: Option<Secret<String>> = None,
        /// A file with nothing but that password.
        pub redis_password_file: Option<PathBuf> = None,
        /// A file of certificate authorities (PEM) that sign for Redis; no others are trusted then.
        /// Without it, those of the system.
        pub redis_ca_file: Option<PathBuf> = None,
        /// A file with our certificate and those in between (PEM), for servers that want to see one.
        pub redis_client_cert_file: Option<PathBuf> = None,
        /// The file with its key (PEM).
        pub redis_client_key_file: Option<PathBuf> = None,
        /// As whom the sentinels know us, if they ask for a name.
        pub sentinel_username: Option<String> = None,
        /// The password of the sentinels, if they ask for one; that of the servers stands in `redis_url`.
        pub sentinel_password: Option<Secret<String>> = None,
        /// A file with nothing but the password of the sentinels.
        pub sentinel_password_file: Option<PathBuf> = None,
        /// Stands before every key in Redis, so that several deployments can share one.
        pub key_prefix: String = "heliograph:".to_owned(),
        /// How long a command may take before Redis counts as unreachable.
        pub timeout: Duration = Duration::from_secs(1),
    }
}
