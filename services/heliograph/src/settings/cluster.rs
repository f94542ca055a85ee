//! Settings of roles that run in processes of their own.

use std::{net::SocketAddr, time::Duration};

use url::Url;

heliograph_settings::settings! {
    /// Roles in processes of their own: how they reach each other. `heliograph serve` needs
    /// nothing of this, unless several of them share their state.
    pub struct ClusterConfig {
        /// Where the upload orchestrators take calls, such as `http://uploads:8100`. Each address
        /// of the name is an instance (if it has any of IPv4, each of those), as of a headless
        /// service in Kubernetes or a scaled one in compose. Where no name lists all instances,
        /// several URLs do: `["http://10.0.0.5:8100", "http://10.0.0.6:8100"]`, in the environment
        /// with a comma. What belongs together goes to the same instance, and to another one if
        /// that does not answer; all processes should see the same names.
        pub uploads_url: Vec<Url> = Vec::new(),
        /// Where the thumbnailers take calls; otherwise as `uploads_url`.
        pub thumbnails_url: Vec<Url> = Vec::new(),
        /// Where the federation fetchers take calls; otherwise as `uploads_url`.
        pub federation_url: Vec<Url> = Vec::new(),
        /// How often the names of these URLs are looked up, to find instances that have come or
        /// gone. When a call has failed they are looked up at once. While they cannot be, those
        /// that were known are called.
        pub resolve_every: Duration = Duration::from_secs(5),
        /// Where this process takes calls (gRPC) of other roles. Calls are neither encrypted
        /// nor authenticated: nobody but our own processes may reach this port.
        pub grpc_listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8100)),
        /// Where other instances that fetch media of other servers reach this one's
        /// `cluster.grpc_listen`, such as `http://10.0.0.5:8100`: they follow what it fetches
        /// while it arrives, and go on with it if this one dies. `heliograph federation` finds
        /// it by itself: the address on which it listens, or, if those are all, the one from
        /// which it reaches Redis. Several `heliograph serve` with one Redis need it, each its
        /// own; `cluster.grpc_listen` is opened then. Without it the others wait until the copy
        /// is stored.
        pub advertise_url: Option<Url> = None,
        /// Where roles without HTTP answer `/livez`, `/readyz` and `/metrics`.
        pub health_listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8101)),
        /// How long a call to the upload orchestrator may take.
        pub uploads_timeout: Duration = Duration::from_secs(15),
        /// How long it may take to complete an upload that went straight into a bucket: the bucket
        /// copies it, and all of it is read with `uploads.direct_inspection = "full"`. Then the
        /// client is told to ask again; the work goes on.
        pub completion_timeout: Duration = Duration::from_mins(4),
        /// How long a call to the thumbnailer may take; longer than `thumbnails.timeout`.
        pub thumbnails_timeout: Duration = Duration::from_secs(45),
        /// How long the federation fetcher may take until the first byte. Clients may ask to
        /// wait for content that is not yet uploaded: longer than the longest such wait.
        pub federation_timeout: Duration = Duration::from_mins(3),
    }
}
