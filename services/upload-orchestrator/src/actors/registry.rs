//! Uploads in progress by blob: the one place that starts, finds and replaces their actors.

use std::{
    collections::HashMap,
    future::Future,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::prelude::*;
use heliograph_blobs::{BlobStore, Key};
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_leases::State;
use heliograph_proto::{BlobId, Ticket};
use heliograph_types::{Clock, Mxc, StoreName, Timestamp, UserId};
use lru::LruCache;
use tokio_util::task::TaskTracker;

use crate::{RemoteCopiesConfig, UploadsConfig, accounts::Accounts, actors::upload::UploadActor, discard::remove};

/// Uploads that are remembered after they are over, about 100 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// What all uploads of an orchestrator share.
pub(crate) struct Shared {
    pub(crate) config: UploadsConfig,
    pub(crate) copies_config: RemoteCopiesConfig,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) state: State,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) uploads: Registry,
}

impl Shared {
    /// Runs `work` on the runtime, not on an arbiter: it outlives its actor, and shutdown
    /// waits for it.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// The id no longer counts as pending. A failure costs the user one place until the id
    /// would have expired.
    pub(crate) async fn forget_pending(&self, uploader: Option<&UserId>, mxc: &Mxc) {
        let Some(uploader) = uploader else { return };
        if let Err(error) = self.state.remove(&pending_index(uploader), mxc.media_id.as_str()).await {
            tracing::warn!(%mxc, %error, "a filled id still counts as pending");
        }
    }

    /// Uploads that began before this are over.
    pub(crate) fn dead_before(&self) -> Timestamp {
        self.clock.now() - self.config.staging_lifetime
    }

    /// All stores; the usual one has no name.
    pub(crate) fn stores(&self) -> impl Iterator<Item = Option<StoreName>> {
        std::iter::once(None).chain(self.blobs.others().into_iter().map(Some))
    }

    /// Removes what is superfluous once the record is there. The sweep does what fails here.
    pub(crate) async fn tidy_after_commit(&self, ticket: &Ticket, record: &MediaRecord) {
        if ticket.is_reserved
            && let Err(error) = self.catalog.remove_reserved(&record.mxc).await
        {
            tracing::warn!(mxc = %record.mxc, %error, "a filled reservation stays until it expires");
        }
        if record.blob != ticket.blob
            && let Ok(superfluous) = Key::new(ticket.blob.as_str())
            && let Err(error) = remove(&*self.blobs, &superfluous).await
        {
            tracing::warn!(mxc = %record.mxc, %error, "content that is there twice stays until the sweep");
        }
    }
}

/// The ids of a user without content, by the time they expire.
pub(crate) fn pending_index(uploader: &UserId) -> String {
    format!("pending:{uploader}")
}

/// Key to address.
pub(crate) struct Registry {
    arbiters: Vec<actix_rt::ArbiterHandle>,
    started: AtomicUsize,
    actors: Mutex<HashMap<BlobId, (Incarnation, Addr<UploadActor>)>>,
    over: Mutex<LruCache<BlobId, ()>>,
}

/// Tells the actors apart that have owned the same upload, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation(usize);

impl Registry {
    /// A registry whose actors live on these arbiters, in turn.
    pub(crate) fn new(arbiters: Vec<actix_rt::ArbiterHandle>) -> Self {
        assert!(!arbiters.is_empty(), "actors need an arbiter");
        Self {
            arbiters,
            started: AtomicUsize::new(0),
            actors: Mutex::default(),
            over: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Starts the actor of an upload.
    pub(crate) fn start(&self, mut actor: UploadActor) -> Addr<UploadActor> {
        let incarnation = self.started.fetch_add(1, Ordering::Relaxed);
        let blob_id = actor.ticket.blob_id.clone();
        actor.incarnation = Some(Incarnation(incarnation));
        // Registered before it can stop, so that an actor that stops at once is not left here.
        let mut actors = self.actors();
        let addr = UploadActor::start_in_arbiter(&self.arbiters[incarnation % self.arbiters.len()], move |_| actor);
        actors.insert(blob_id, (Incarnation(incarnation), addr.clone()));
        addr
    }

    /// The living actor of an upload.
    pub(crate) fn find(&self, blob_id: &BlobId) -> Option<Addr<UploadActor>> {
        self.actors().get(blob_id).map(|(_, addr)| addr).filter(|addr| addr.connected()).cloned()
    }

    /// Whether an upload is known to be over, in whatever way.
    pub(crate) fn is_over(&self, blob_id: &BlobId) -> bool {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).contains(blob_id)
    }

    /// Forgets the actor of an upload, but remembers for a while that the upload `is_over`: no
    /// other actor is to take it up. A successor of the actor is left alone.
    pub(crate) fn remove(&self, blob_id: &BlobId, incarnation: Option<Incarnation>, is_over: bool) {
        if is_over {
            self.over.lock().unwrap_or_else(PoisonError::into_inner).put(blob_id.clone(), ());
        }
        let mut actors = self.actors();
        if actors.get(blob_id).is_some_and(|(present, _)| Some(*present) == incarnation) {
            actors.remove(blob_id);
        }
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<BlobId, (Incarnation, Addr<UploadActor>)>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
