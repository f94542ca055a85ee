//! Uploads in progress by blob: the one place that starts, finds and replaces their actors.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::prelude::*;
use heliograph_blobs::BlobStore;
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_leases::State;
use heliograph_proto::BlobId;
use heliograph_types::{Clock, Mxc, UserId};
use tokio_util::task::TaskTracker;

use crate::{UploadsConfig, accounts::Accounts, actors::upload::UploadActor};

/// What all uploads of an orchestrator share.
pub(crate) struct Shared {
    pub(crate) config: UploadsConfig,
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

    /// Removes what is superfluous once the record is there. The sweep does what fails here.
    pub(crate) async fn tidy_after_commit(&self, record: &MediaRecord) {
        if record.uploader.is_some()
            && let Err(error) = self.catalog.remove_reserved(&record.mxc).await
        {
            tracing::warn!(mxc = %record.mxc, %error, "a filled reservation stays until it expires");
        }
        if let Err(error) = self.catalog.unmark(record.blob_id()).await {
            tracing::warn!(mxc = %record.mxc, %error, "the note on a finished upload stays until the sweep");
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
}

/// Tells the actors apart that have owned the same upload, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation(usize);

impl Registry {
    /// A registry whose actors live on these arbiters, in turn.
    pub(crate) fn new(arbiters: Vec<actix_rt::ArbiterHandle>) -> Self {
        assert!(!arbiters.is_empty(), "actors need an arbiter");
        Self { arbiters, started: AtomicUsize::new(0), actors: Mutex::default() }
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

    /// Forgets an upload that is over. A successor of the actor is left alone.
    pub(crate) fn remove(&self, blob_id: &BlobId, incarnation: Option<Incarnation>) {
        let mut actors = self.actors();
        if actors.get(blob_id).is_some_and(|(present, _)| Some(*present) == incarnation) {
            actors.remove(blob_id);
        }
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<BlobId, (Incarnation, Addr<UploadActor>)>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
