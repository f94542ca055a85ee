//! Settings of what we ask homeservers and of how we go out to strangers.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use heliograph_types::ServerName;
use ipnet::IpNet;
use url::Url;

const REMEMBERED_TOKENS: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();
const QUESTIONS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
const ORIGINS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
const FETCHES: NonZeroUsize = NonZeroUsize::new(100).unwrap();
const FETCHES_PER_ORIGIN: NonZeroUsize = NonZeroUsize::new(8).unwrap();

heliograph_settings::settings! {
    /// The homeserver whose media this is.
    pub struct HomeserverConfig {
        /// The server name of the homeserver, the part after the colon of its users' ids.
        /// Required.
        pub server_name: Option<ServerName> = None,
        /// Base URL of the homeserver's client API as it is reached from here, such as
        /// `http://synapse:8008`. It is asked who an access token belongs to.
        pub url: Option<Url> = None,
        /// A file with the signing key of the homeserver, in Synapse's format. With it,
        /// remote servers see our requests as the homeserver's.
        pub signing_key_file: Option<PathBuf> = None,
        /// A file with certificate authorities (PEM) to trust besides those of the system
        /// when the homeserver is asked.
        pub ca_file: Option<PathBuf> = None,
        /// How long the homeserver may take to answer who a token belongs to. After that
        /// the request is refused with 503, never with 401.
        pub timeout: Duration = Duration::from_secs(10),
        /// How long the homeserver's answer about a token is believed. A token that was
        /// logged out keeps working here for that long.
        pub token_ttl: Duration = Duration::from_secs(30),
        /// Tokens whose answers are remembered, about 300 bytes each. With several homeservers
        /// the largest number counts.
        pub max_remembered_tokens: NonZeroUsize = REMEMBERED_TOKENS,
        /// Questions about tokens that may be open at the homeserver at once; requests that
        /// need one more are refused with 503. Each holds a connection and up to 64 KiB.
        pub max_open_questions: NonZeroUsize = QUESTIONS,
    }
}

heliograph_settings::settings! {
    /// Media and keys of other servers.
    pub struct FederationConfig {
        /// A file with certificate authorities (PEM) to trust besides those of the system.
        pub ca_file: Option<PathBuf> = None,
        /// Address ranges to connect to although they are not public, such as those of a
        /// test network. Wins over `deny_addresses`.
        pub allow_addresses: Vec<IpNet> = Vec::new(),
        /// Address ranges never to connect to, besides all that are not public.
        pub deny_addresses: Vec<IpNet> = Vec::new(),
        /// How long a connection to another server, TLS included, may take.
        pub connect_timeout: Duration = Duration::from_secs(10),
        /// How long another server may send nothing before it counts as gone.
        pub read_timeout: Duration = Duration::from_secs(20),
        /// How long one fetch may take altogether.
        pub fetch_timeout: Duration = Duration::from_mins(15),
        /// The largest remote medium that is fetched; larger ones are refused with 502
        /// `M_TOO_LARGE` and not stored.
        pub max_bytes: ByteSize = ByteSize::mib(100),
        /// Fetches in progress on one node; more are refused with `M_LIMIT_EXCEEDED`. Each
        /// holds up to 5 MiB in memory, and what an upload in progress does
        /// (`storage.write_chunk_size`).
        pub max_fetches: NonZeroUsize = FETCHES,
        /// Fetches in progress from one origin.
        pub max_fetches_per_origin: NonZeroUsize = FETCHES_PER_ORIGIN,
        /// Fetches that may wait for their turn at one origin; more are refused with
        /// `M_LIMIT_EXCEEDED`.
        pub max_queued_per_origin: usize = 64,
        /// How long an origin is left alone after its first failure; doubled with each
        /// further one.
        pub backoff_min: Duration = Duration::from_secs(2),
        /// The longest time that an origin is left alone.
        pub backoff_max: Duration = Duration::from_mins(10),
        /// How long the answer that there is no such medium, or that it is too large, is
        /// remembered.
        pub remember_missing: Duration = Duration::from_mins(5),
        /// How long any other failure of a medium is remembered.
        pub remember_failed: Duration = Duration::from_secs(15),
        /// How long an origin nobody asks for keeps its actor.
        pub origin_idle: Duration = Duration::from_mins(10),
        /// Origins with an actor on one node, about 1 KiB each and 200 bytes for every failed
        /// medium that is remembered. One more replaces the one that was not asked for
        /// longest, and with it forgets what failed there.
        pub max_origins: NonZeroUsize = ORIGINS,
    }
}

heliograph_settings::settings! {
    /// Previews of URLs in messages. They are not served yet: these settings are checked
    /// and change nothing.
    pub struct PreviewsConfig {
        /// Address ranges to connect to for previews although they are not public. Wins
        /// over `deny_addresses`. Has nothing to do with that of federation.
        pub allow_addresses: Vec<IpNet> = Vec::new(),
        /// Address ranges never to connect to for previews, besides all that are not public.
        pub deny_addresses: Vec<IpNet> = Vec::new(),
    }
}
