//! The HTTP front: speaks Matrix to clients and to other servers, and moves the bytes.
//!
//! Decides nothing that another role owns: uploads are admitted and committed by the
//! orchestrator, pictures are decoded by the thumbnailer, strangers are spoken to by the
//! federation fetcher. Never holds a whole file in memory, small hot ones excepted.

mod address;
mod auth;
mod config;
mod deliver;
mod disposition;
mod error;
mod expect;
mod formats;
mod freeze;
mod headers;
mod hot;
mod http;
mod limits;
mod listen;
mod meters;
mod metrics;
mod params;
mod parts;
mod picture;
mod premake;
mod published;
mod reads;
mod receive;
mod redirect;
mod refuse;
mod remote_keys;
mod remote_thumbnail;
mod routes;
mod server;
#[cfg(any(test, feature = "testing"))]
#[expect(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, reason = "tests show what they are")]
pub mod testing;
#[cfg(test)]
mod tests;
mod work;

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

use heliograph_blobs::BlobStore;
use heliograph_catalog::Catalog;
use heliograph_leases::State;
use heliograph_matrix::{HomeserverConfig, Homeservers, ServerLists, SigningKey, TokenChecker};
use heliograph_proto::{FederationService, ThumbnailService, UploadService};
use heliograph_runtime::Health;
use heliograph_strip::Kind;
use heliograph_types::{Clock, ServerName, Sizes, ThumbnailFormat};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::ApiConfig;
pub use limits::LimitsConfig;
pub use redirect::{CdnOrigin, CdnSignature, Encoding, RedirectTo, RedirectsConfig};
pub use routes::reference;
pub use server::serve;

/// What the front works with.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the operator")]
pub struct Deps {
    /// Our server names; the first one speaks for requests that name none.
    pub server_names: Vec<ServerName>,
    /// What is published for each homeserver, and how.
    pub sites: Vec<HomeserverConfig>,
    /// The keys of our server names for which no homeserver speaks.
    pub published_keys: HashMap<ServerName, SigningKey>,
    /// How much each caller may do.
    pub limits: LimitsConfig,
    /// Who is sent to where the bytes are.
    pub redirects: RedirectsConfig,
    /// Whether media of other servers are fetched and kept.
    pub takes_in_remote_media: bool,
    /// Which thumbnails there are; as the thumbnailer has it.
    pub sizes: Sizes,
    /// In what else than JPEG and PNG thumbnails are had, the best first.
    pub formats: Vec<ThumbnailFormat>,
    /// How many new pictures may wait for the thumbnails that are made before anybody asks; none
    /// are made without it.
    pub premake_queue: Option<NonZeroUsize>,
    /// Whether URLs are previewed.
    pub previews: bool,
    /// With which other servers we have to do.
    pub servers: ServerLists,
    /// How often reads of copies of remote media are written down.
    pub write_reads_every: Duration,
    /// Where limits are counted.
    pub state: State,
    /// Whether clients may put content straight into the store (MSC3870).
    pub direct_uploads: bool,
    /// Whether anybody has a quota.
    pub has_quotas: bool,
    /// The homeservers, for what is only passed on.
    pub homeservers: Arc<dyn Homeservers>,
    /// Who a token belongs to.
    pub tokens: Arc<dyn TokenChecker>,
    /// Life of an upload.
    pub uploads: Arc<dyn UploadService>,
    /// Pictures.
    pub thumbnails: Arc<dyn ThumbnailService>,
    /// Other servers.
    pub federation: Arc<dyn FederationService>,
    /// Bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Records.
    pub catalog: Arc<Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `/livez`, `/readyz`, `/metrics`.
    pub health: Health,
    /// The largest upload, as clients are told.
    pub max_upload_bytes: u64,
    /// The pictures out of which metadata is taken when they are uploaded.
    pub strip_metadata: Vec<Kind>,
    /// Where work goes on whose client has left.
    pub runtime: tokio::runtime::Handle,
    /// Who waits for that work at shutdown.
    pub tasks: TaskTracker,
    /// Stops accepting, and ends the server when what is in progress is done.
    pub shutdown: CancellationToken,
}
