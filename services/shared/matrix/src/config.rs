//! Settings of what we ask homeservers and of how we go out to strangers.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use heliograph_types::{Secret, ServerName};
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
        /// Other names under which this homeserver is asked for, such as `matrix.example.org`,
        /// where its clients go. With several homeservers, the `Host` of a request that shows
        /// neither a user nor a destination tells by them whose it is.
        pub hosts: Vec<String> = Vec::new(),
        /// Base URL of the homeserver's client API as it is reached from here, such as
        /// `http://synapse:8008`. It is asked who an access token belongs to.
        pub url: Option<Url> = None,
        /// A file with a signing key that the homeserver publishes, in the format of Synapse or
        /// of Dendrite: its own, or one that was made with `heliograph keys generate` and added
        /// to those that it publishes. The first key of the file signs. With it, remote servers
        /// see our requests as the homeserver's.
        pub signing_key_file: Option<PathBuf> = None,
        /// A file with certificate authorities (PEM) to trust besides those of the system
        /// when the homeserver is asked.
        pub ca_file: Option<PathBuf> = None,
        /// An access token of an administrator of the homeserver. With it, the homeserver is
        /// asked whether accounts are suspended. Administrators who use our own administration
        /// need it not: theirs is asked about.
        pub admin_token: Option<Secret<String>> = None,
        /// How long the homeserver may take to answer who a token belongs to, or anything
        /// else. After that the request is refused with 502 or 503, never with 401.
        pub timeout: Duration = Duration::from_secs(10),
        /// How long the homeserver's answer about a token is believed, by all instances that
        /// share their state. A token that was logged out keeps working here for that long,
        /// unless the logout went through us: then it ends at once. Whether an account is
        /// suspended is believed as long.
        pub token_ttl: Duration = Duration::from_secs(30),
        /// Tokens whose answers are remembered, about 300 bytes each. With several homeservers
        /// the largest number counts.
        pub max_remembered_tokens: NonZeroUsize = REMEMBERED_TOKENS,
        /// Questions about tokens that may be open at the homeserver at once, and as many of
        /// all other kinds together; requests that need one more are refused with 503. Each
        /// holds a connection and up to 64 KiB.
        pub max_open_questions: NonZeroUsize = QUESTIONS,
        /// Base URL under which clients reach this media repository, such as
        /// `https://media.example.org`. Published as `m.media_server` in
        /// `/.well-known/matrix/client` (MSC3859), if that file is asked for here. Without it,
        /// the file says nothing of media.
        pub media_base_url: Option<Url> = None,
        /// The server name under which other servers reach this media repository, such as
        /// `media.example.org:443`. Published as `m.media_server` in
        /// `/.well-known/matrix/server` (MSC3859), if that file is asked for here. Without it,
        /// the file says nothing of media.
        pub media_server_name: Option<ServerName> = None,
        /// Whether `m.media_server` is published under that name besides
        /// `com.beeper.msc3859.m.media_server`, the name that the proposal has until it is
        /// part of the specification.
        pub publish_unprefixed: bool = true,
        /// What `/.well-known/matrix/client` says besides the media server: a JSON object, with
        /// `m.homeserver` at least, such as
        /// `{"m.homeserver": {"base_url": "https://matrix.example.org"}}`. Without it, what the
        /// homeserver publishes is passed on.
        pub well_known_client: Option<String> = None,
        /// What `/.well-known/matrix/server` says besides the media server: a JSON object, with
        /// `m.server` at least, such as `{"m.server": "matrix.example.org:443"}`. Without it,
        /// what the homeserver publishes is passed on.
        pub well_known_server: Option<String> = None,
        /// Whether to add `v1.11` to `/_matrix/client/versions` if the homeserver does not name
        /// it and that path is asked for here. Many clients look for it, and for nothing else,
        /// before they use authenticated media.
        pub force_v1_11: bool = true,
        /// Whether a 401 of the homeserver to `/_matrix/client/versions` is asked again without
        /// the token, which that path does not need. Some clients take the 401 for a server
        /// without authenticated media, and remember that for hours.
        pub versions_without_expired_token: bool = true,
    }
}

heliograph_settings::choice! {
    /// What becomes of a request for a medium of another server that is not here.
    pub enum RemoteMediaMode {
        /// It is fetched, kept and given out.
        Fetch = "fetch",
        /// The caller is sent to the other server, or gets nothing.
        Redirect = "redirect",
    }
}

heliograph_settings::settings! {
    /// Media and keys of other servers.
    pub struct FederationConfig {
        /// What becomes of a request for a medium of another server. `fetch` fetches it, keeps
        /// a copy and gives that out. `redirect` never takes in what others have: a request
        /// without a token that has `allow_redirect=true` is sent to the deprecated path of
        /// the other server, which mostly gives out nothing new there; every other one is
        /// answered 404 `M_NOT_FOUND`, so that users see hardly any media of other servers.
        /// Copies that were made before are given out all the same.
        pub remote_media: RemoteMediaMode = RemoteMediaMode::Fetch,
        /// A file with certificate authorities (PEM) to trust besides those of the system.
        pub ca_file: Option<PathBuf> = None,
        /// Address ranges to connect to although they are not public, such as those of a
        /// test network. Wins over `deny_addresses`.
        pub allow_addresses: Vec<IpNet> = Vec::new(),
        /// Address ranges never to connect to, besides all that are not public.
        pub deny_addresses: Vec<IpNet> = Vec::new(),
        /// How long it may take to find out where another server is.
        pub find_timeout: Duration = Duration::from_secs(20),
        /// Nameservers, such as `127.0.0.1:53`. If there are any, they are asked for everything,
        /// and neither those of the system nor `/etc/hosts` counts. If there are none, addresses
        /// come from the system, and SRV records from the nameservers that `/etc/resolv.conf`
        /// has at start.
        pub nameservers: Vec<SocketAddr> = Vec::new(),
        /// A proxy that every connection to other servers goes through, such as
        /// `http://user:password@proxy.example.org:3128` (which must allow `CONNECT`) or
        /// `socks5://10.0.0.1:1080`. It looks names up, so it must refuse addresses that are
        /// not public: from here only those that are written out are seen. SRV records are
        /// still asked for here; if no nameserver answers, it is as if there were none. No
        /// proxy is ever taken from the environment.
        pub proxy: Option<Secret<String>> = None,
        /// How long finding a name, connecting to another server, and TLS may take together.
        pub connect_timeout: Duration = Duration::from_secs(10),
        /// How long it may take from there until the first byte of a medium, besides the time that
        /// the other server was asked to wait for its upload.
        pub head_timeout: Duration = Duration::from_secs(20),
        /// How long another server may send nothing before it counts as gone.
        pub read_timeout: Duration = Duration::from_secs(20),
        /// Bytes that another server has to send each second, on average over `rate_window`;
        /// from one that is slower the medium is not had. 0 for no such limit.
        pub slowest_rate: ByteSize = ByteSize::kib(1),
        /// The time over which `slowest_rate` is measured. Only time in which the other server is
        /// waited for counts.
        pub rate_window: Duration = Duration::from_secs(30),
        /// How long one fetch may take altogether, all tries included. Silent and slow servers are
        /// given up long before.
        pub fetch_timeout: Duration = Duration::from_hours(1),
        /// How often a medium that breaks off is asked for again from where it broke off. That
        /// works only for what is not wrapped in the answer of the federation endpoint: what it
        /// names the place of, and what old servers have. Each time something must have arrived
        /// since the last. 0 switches it off.
        pub max_resumptions: u32 = 5,
        /// When somebody wants a thumbnail of a remote medium that is not here, and the other server
        /// says that it is larger than this or than `max_bytes`, it is asked for its own
        /// thumbnail instead. That one is made anew here, and kept for an hour in the shared state
        /// if it has at most 256 KiB. 0 switches it off: the medium is fetched, or refused.
        pub thumbnail_above: ByteSize = ByteSize::mib(16),
        /// The largest remote medium that is fetched; larger ones are refused with 502
        /// `M_TOO_LARGE` and not stored.
        pub max_bytes: ByteSize = ByteSize::mib(100),
        /// Fetches in progress on one node; more are refused with `M_LIMIT_EXCEEDED`. Each
        /// holds up to 7 MiB in memory, and what an upload in progress does
        /// (`storage.write_chunk_size`).
        pub max_fetches: NonZeroUsize = FETCHES,
        /// Fetches in progress from one origin.
        pub max_fetches_per_origin: NonZeroUsize = FETCHES_PER_ORIGIN,
        /// Fetches that may wait for their turn at one origin; more are refused with
        /// `M_LIMIT_EXCEEDED`.
        pub max_queued_per_origin: usize = 64,
        /// How long at most an origin is left alone after its first failure; doubled with each
        /// further one. Each time a random part of it, at least half of this. Then one fetch is
        /// tried, and the others wait until it is answered.
        pub backoff_min: Duration = Duration::from_secs(2),
        /// The longest time that an origin is left alone.
        pub backoff_max: Duration = Duration::from_mins(10),
        /// How long the answer that there is no such medium is remembered.
        pub remember_missing: Duration = Duration::from_mins(5),
        /// How long any other failure of a medium is remembered.
        pub remember_failed: Duration = Duration::from_secs(15),
        /// How long an origin nobody asks for keeps its actor.
        pub origin_idle: Duration = Duration::from_mins(10),
        /// Origins with an actor on one node, about 1 KiB each and 200 bytes for every failed
        /// medium that is remembered. One more replaces the one that was not asked for
        /// longest, and with it forgets what failed there.
        pub max_origins: NonZeroUsize = ORIGINS,
        /// How long it is remembered that a medium is too large: so long it is not fetched again
        /// to find that out.
        pub remember_too_large: Duration = Duration::from_hours(24),
        /// Bytes that one origin may send to one node within `origin_period`, kept or not; the
        /// room comes back evenly over that time. Without room nothing more is fetched from
        /// there: 429 `M_LIMIT_EXCEEDED` with the time to wait. What is on its way is not cut
        /// off. Protects the disk and the line from one server; honest ones send less.
        pub max_bytes_per_origin: ByteSize = ByteSize::gib(50),
        /// The time that `max_bytes_per_origin` is for.
        pub origin_period: Duration = Duration::from_hours(1),
        /// Servers with which we have nothing to do: names in which `*` stands for anything and
        /// `?` for one character, such as `*.evil.example`. A name without a port is for all
        /// ports. Their media are 404 `M_NOT_FOUND`, copies that are here too (which stay, and
        /// come back with the server); their requests are refused with 403 `M_FORBIDDEN`; they are
        /// asked for nothing, not even for their keys. To be set for `api` and `federation` alike.
        pub blocked_servers: Vec<String> = Vec::new(),
        /// If not empty, the only servers with which we have to do, in the same form; whoever is
        /// in `blocked_servers` as well is blocked.
        pub allowed_servers: Vec<String> = Vec::new(),
        /// Servers that are asked for the keys of another one that does not give them itself, in
        /// this order, with a bound of 10 seconds for all of them. What they say counts if it is
        /// signed by both. Name those alone that you trust: a notary could make up the keys of a
        /// server that cannot be reached from here, and it learns who asks us for media.
        pub notaries: Vec<ServerName> = Vec::new(),
    }
}

impl FederationConfig {
    /// The longest time until the first byte of a medium that is there.
    #[must_use]
    pub fn until_first_byte(&self) -> Duration {
        self.find_timeout.saturating_add(self.connect_timeout).saturating_add(self.head_timeout)
    }
}

const PREVIEWS: NonZeroUsize = NonZeroUsize::new(50).unwrap();
const PREVIEWS_OF_USER: NonZeroUsize = NonZeroUsize::new(20).unwrap();
const PREVIEWS_OF_SITE: NonZeroUsize = NonZeroUsize::new(20).unwrap();

heliograph_settings::settings! {
    /// Previews of URLs in messages: a site is visited when somebody sees its URL, and learns our
    /// address by that, never the user's. `nameservers`, `proxy`, `ca_file`, `find_timeout` and
    /// `connect_timeout` are those of `[federation]`. To be set for `api` and `federation` alike.
    pub struct PreviewsConfig {
        /// Whether previews are made. `false` answers 404 `M_UNRECOGNIZED`.
        pub enabled: bool = false,
        /// Address ranges to connect to for previews although they are not public. Wins
        /// over `deny_addresses`. Has nothing to do with that of federation.
        pub allow_addresses: Vec<IpNet> = Vec::new(),
        /// Address ranges never to connect to for previews, besides all that are not public.
        pub deny_addresses: Vec<IpNet> = Vec::new(),
        /// If not empty, the only hosts that are visited: names in which `*` stands for anything
        /// and `?` for one character, such as `*.example.org`. What is refused is 403
        /// `M_FORBIDDEN`; to where a redirect leads, and where a picture is, these lists count too.
        pub allowed_hosts: Vec<String> = Vec::new(),
        /// Hosts that are not visited, in the same form; wins over `allowed_hosts`.
        pub denied_hosts: Vec<String> = Vec::new(),
        /// Whole URLs that are not visited, in the same form, such as `*://*/private/*`.
        pub denied_urls: Vec<String> = Vec::new(),
        /// The languages that a site is asked for if the client names none, as in
        /// `Accept-Language`, the best first. Of what a client names three are passed on.
        pub languages: String = "en".to_owned(),
        /// Bytes that are read of a page; what it says of itself is hardly ever beyond.
        pub max_page_bytes: ByteSize = ByteSize::kib(1536),
        /// The largest picture that is kept; without one that is smaller, the preview has none.
        pub max_picture_bytes: ByteSize = ByteSize::mib(10),
        /// How long a preview may take altogether: the page, what is said of it elsewhere, and
        /// its picture. What is there by then counts; without anything it is 502 `M_UNKNOWN`.
        pub timeout: Duration = Duration::from_secs(20),
        /// How long a site may be silent before its answer and within it.
        pub read_timeout: Duration = Duration::from_secs(8),
        /// Previews that one node makes at once; more are refused with `M_LIMIT_EXCEEDED`. Each
        /// holds up to 3 MiB in memory.
        pub max_at_once: NonZeroUsize = PREVIEWS,
        /// Of these, previews that one user may be the first to ask for; more are refused with
        /// `M_LIMIT_EXCEEDED`. Pages that take long do not count against others then.
        pub max_per_user: NonZeroUsize = PREVIEWS_OF_USER,
        /// Of these, previews of one host; more are refused with `M_LIMIT_EXCEEDED`. A site that
        /// has become slow leaves room for all others then.
        pub max_per_site: NonZeroUsize = PREVIEWS_OF_SITE,
        /// How long a preview is kept at least, whatever the site says.
        pub min_lifetime: Duration = Duration::from_mins(15),
        /// How long one is kept of which the site says nothing.
        pub usual_lifetime: Duration = Duration::from_hours(1),
        /// How long one is kept at most.
        pub max_lifetime: Duration = Duration::from_hours(24),
        /// How long it is remembered that a page cannot be had.
        pub remember_failed: Duration = Duration::from_mins(1),
        /// How long the picture stays after its preview, for clients that still show it. Then it is
        /// deleted.
        pub keep_pictures: Duration = Duration::from_hours(24),
    }
}
