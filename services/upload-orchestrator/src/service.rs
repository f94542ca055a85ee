//! The contract: checks, then hands over to the actor of the upload.

use std::{sync::Arc, time::Duration};

use actix::{Addr, MailboxError};
use async_trait::async_trait;
use heliograph_catalog::{Blocked, Lookup, Reserved, blob_key};
use heliograph_leases::{Lease, State};
use heliograph_proto::{
    Begin, BlobId, Block, Commit, Complete, ListUploads, Moderate, Presign, Reservation, Reserve, RouteKey, Target,
    Ticket, UploadService, Uploads, Usage,
};
use heliograph_types::{ErrorCode, Failure, MediaId, Mxc, StoreName, Timestamp, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Instrument;
use ulid::Ulid;

use crate::{
    Deps, UploadsConfig,
    accounts::Accounts,
    actors::{
        registry::{Registry, Shared, pending_index},
        upload::{AbortUpload, CommitUpload, ReportProgress, UploadActor, discard, lease_key, lease_ttl},
    },
    evict, metrics, moderate,
    quota::Quotas,
    sweep,
};

/// When to come again if there is no room.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// An actor answers at once; only its record takes time.
const ACTOR_DEADLINE: Duration = Duration::from_mins(1);

/// The upload orchestrator of one process.
#[derive(Clone)]
pub struct UploadOrchestrator {
    pub(crate) shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for UploadOrchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadOrchestrator").field("room", &self.room.available_permits()).finish_non_exhaustive()
    }
}

impl UploadOrchestrator {
    /// Starts the orchestrator and its sweep; its background work runs on the runtime of
    /// the caller.
    pub fn start(config: UploadsConfig, deps: Deps) -> Arc<Self> {
        let Deps { quotas, remote_copies, blobs, catalog, state, clock, arbiters, tasks, shutdown, alone } = deps;
        let room = Arc::new(Semaphore::new(config.max_in_progress.get().min(Semaphore::MAX_PERMITS)));
        let uploads = Registry::new(arbiters);
        let runtime = tokio::runtime::Handle::current();
        let accounts = Arc::new(Accounts::new(State::clone(&state), Quotas::new(quotas), Arc::clone(&clock)));
        let shared = Arc::new(Shared {
            config,
            copies_config: remote_copies,
            blobs,
            catalog,
            state,
            accounts,
            clock,
            tasks,
            runtime,
            uploads,
        });
        // Nobody else writes: what is in the store from before now is dead.
        let dead_before = alone.then(|| shared.clock.now());
        shared.in_background(sweep::run(Arc::clone(&shared), shutdown.clone(), dead_before));
        shared.in_background(Arc::clone(&shared.accounts).keep(Arc::clone(&shared.catalog), shutdown.clone()));
        shared.in_background(evict::run(Arc::clone(&shared), shutdown));
        Arc::new(Self { shared, room })
    }

    /// The id that is to be filled, and the lease on it. A new id needs none: nobody knows it.
    async fn claim(&self, target: &Target, uploader: Option<&UserId>) -> Result<(Mxc, Option<Lease>), Failure> {
        let mxc = match target {
            Target::New(server_name) => {
                return Ok((Mxc { server_name: server_name.clone(), media_id: MediaId::random() }, None));
            }
            Target::Reserved(mxc) | Target::Remote(mxc) => mxc,
        };
        let lease = match self.shared.state.try_acquire(&lease_key(mxc), lease_ttl(uploader)).await {
            Ok(Some(lease)) => Some(lease),
            Ok(None) => return Err(self.refuse_second(mxc, target, uploader).await),
            Err(error) => {
                tracing::warn!(%mxc, %error, "uploading without a lease: the record will decide");
                None
            }
        };
        match self.check_claim(mxc, target, uploader).await {
            Ok(()) => Ok((mxc.clone(), lease)),
            Err(failure) => {
                self.release(lease).await;
                Err(failure)
            }
        }
    }

    /// Somebody else is filling the id; that is told only to whom it concerns.
    async fn refuse_second(&self, mxc: &Mxc, target: &Target, uploader: Option<&UserId>) -> Failure {
        match self.check_claim(mxc, target, uploader).await {
            Err(failure) => failure,
            Ok(()) => Failure::new(ErrorCode::CannotOverwriteMedia, "another upload for this id is in progress"),
        }
    }

    async fn check_claim(&self, mxc: &Mxc, target: &Target, uploader: Option<&UserId>) -> Result<(), Failure> {
        match (self.shared.catalog.lookup(mxc).await?, target) {
            (Lookup::Ready(record), Target::Reserved(_)) if record.uploader.as_ref() != uploader => {
                Err(Failure::new(ErrorCode::Forbidden, "this id belongs to another user"))
            }
            (Lookup::Ready(_), _) => Err(already_has_content()),
            (_, Target::Remote(_)) => Ok(()),
            (Lookup::Missing, _) => Err(Failure::not_found()),
            (Lookup::Pending(reserved), _) if Some(&reserved.uploader) != uploader => {
                Err(Failure::new(ErrorCode::Forbidden, "this id belongs to another user"))
            }
            (Lookup::Pending(_), _) => Ok(()),
        }
    }

    async fn release(&self, lease: Option<Lease>) {
        if let Some(lease) = lease
            && let Err(error) = self.shared.state.release(&lease).await
        {
            tracing::debug!(key = lease.key, %error, "lease left to expire");
        }
    }

    /// A copy of remote media is limited by the fetcher, which knows the limit for those.
    fn limit_of(&self, target: &Target) -> u64 {
        match target {
            Target::New(_) | Target::Reserved(_) => self.shared.config.max_bytes.as_u64(),
            Target::Remote(_) => u64::MAX,
        }
    }

    /// Admits an upload, and starts its actor. Nothing is written: the key of the blob says
    /// whose it is.
    pub(crate) async fn admit(&self, begin: Begin, permit: OwnedSemaphorePermit) -> Result<Ticket, Failure> {
        self.check_store(begin.store.as_ref())?;
        let max_bytes = self.limit_of(&begin.target);
        let (mxc, lease) = self.claim(&begin.target, begin.uploader.as_ref()).await?;
        if begin.declared_bytes.is_some_and(|bytes| bytes > max_bytes) {
            self.release(lease).await;
            metrics::refused("too_large");
            return Err(too_large(max_bytes));
        }
        let blob_id = new_blob_id(self.shared.clock.now().as_millis());
        let ticket = Ticket {
            route: RouteKey::of(&mxc.to_string()),
            blob: blob_key(&mxc, blob_id.as_str(), begin.store.as_ref()).to_string(),
            mxc,
            blob_id,
            uploader: begin.uploader,
            is_reserved: matches!(begin.target, Target::Reserved(_)),
            fence: lease.as_ref().map_or(0, |lease| lease.fence),
            max_bytes,
            idle_timeout: self.shared.config.idle_timeout,
        };
        let (claim, lifetime) = (ticket.blob_id.as_str(), self.shared.config.max_duration);
        let reserved = self.shared.accounts.reserve(ticket.uploader.as_ref(), claim, begin.declared_bytes, lifetime);
        if let Err(failure) = reserved.await {
            self.release(lease).await;
            return Err(failure);
        }
        self.shared.uploads.start(UploadActor::new(ticket.clone(), lease, Arc::clone(&self.shared), permit));
        Ok(ticket)
    }

    /// Only where there is such a store.
    pub(crate) fn check_store(&self, store: Option<&StoreName>) -> Result<(), Failure> {
        match store {
            Some(store) if !self.shared.blobs.others().contains(store) => {
                Err(Failure::new(ErrorCode::InvalidParam, format!("there is no store {store}")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            metrics::refused("saturated");
            Failure::saturated("too many uploads are in progress", COME_AGAIN)
        })
    }

    /// The actor of an upload. One that is gone without having finished is started again from
    /// the ticket.
    fn actor_of(&self, ticket: &Ticket) -> Result<Addr<UploadActor>, Failure> {
        if let Some(addr) = self.shared.uploads.find(&ticket.blob_id) {
            return Ok(addr);
        }
        if self.shared.uploads.is_over(&ticket.blob_id) {
            return Err(Failure::not_found());
        }
        let permit = self.permit()?;
        tracing::info!(mxc = %ticket.mxc, "an upload is picked up again");
        let actor = UploadActor::successor(ticket.clone(), Arc::clone(&self.shared), permit);
        Ok(self.shared.uploads.start(actor))
    }

    pub(crate) async fn ask_commit(&self, commit: Commit) -> Result<(), Failure> {
        let addr = match self.actor_of(&commit.ticket) {
            Ok(addr) => addr,
            Err(failure) if failure.code == ErrorCode::NotFound => return self.committed_before(&commit).await,
            Err(failure) => return Err(failure),
        };
        let (answer, outcome) = oneshot::channel();
        under_deadline(addr.send(CommitUpload { commit, answer, span: tracing::Span::current() })).await?;
        match tokio::time::timeout(ACTOR_DEADLINE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(actor_is_gone()),
        }
    }

    /// A commit whose upload is over: it may be the repetition of one that succeeded.
    async fn committed_before(&self, commit: &Commit) -> Result<(), Failure> {
        let record = self.shared.catalog.find(&commit.ticket.mxc).await?;
        match record {
            Some(record) if record.is_of(commit.ticket.blob_id.as_str()) => Ok(()),
            Some(_) => Err(already_has_content()),
            None => Err(Failure::not_found()),
        }
    }
}

#[async_trait]
impl UploadService for UploadOrchestrator {
    #[tracing::instrument(skip_all, fields(uploader = %request.uploader))]
    async fn reserve(&self, request: Reserve) -> Result<Reservation, Failure> {
        let Reserve { server_name, uploader, store } = request;
        self.check_store(store.as_ref())?;
        let mxc = Mxc { server_name, media_id: MediaId::random() };
        let now = self.shared.clock.now();
        let unused_expires_at = now + self.shared.config.unused_lifetime;
        let index = pending_index(&uploader);
        let listed = self.shared.state.insert_within(
            &index,
            mxc.media_id.as_str(),
            unused_expires_at.as_millis(),
            // An id that expires at this very moment is no longer pending.
            now.as_millis() + 1,
            self.shared.config.max_pending_per_user,
        );
        match listed.await {
            Ok(true) => {}
            Ok(false) => {
                metrics::refused("pending");
                return Err(Failure::saturated("too many ids are waiting for their content", COME_AGAIN));
            }
            Err(error) => tracing::warn!(%error, "reserving without counting"),
        }
        let reserved = Reserved { mxc: mxc.clone(), uploader: uploader.clone(), unused_expires_at };
        if let Err(error) = self.shared.catalog.reserve(&reserved).await {
            tracing::error!(%error, "could not reserve an id");
            self.shared.forget_pending(Some(&uploader), &mxc).await;
            return Err(error.into());
        }
        let lifetime = self.shared.config.unused_lifetime;
        let upload_url = match self.presign_target(&mxc, store.as_ref(), lifetime).await {
            Ok(upload_url) => upload_url,
            Err(error) => {
                tracing::error!(%error, "an id is given out without the URL for a direct upload");
                None
            }
        };
        Ok(Reservation { mxc, unused_expires_at, upload_url })
    }

    #[tracing::instrument(skip_all, fields(mxc = %request.mxc))]
    async fn presign(&self, request: Presign) -> Result<String, Failure> {
        self.presign_reserved(&request).await
    }

    #[tracing::instrument(skip_all, fields(mxc = %request.mxc))]
    async fn complete(&self, request: Complete) -> Result<(), Failure> {
        // It goes on if whoever asks gives up: the next one who asks finds it done.
        let (orchestrator, (answer, outcome)) = (self.clone(), oneshot::channel());
        let work = async move { drop(answer.send(orchestrator.complete_direct(request).await)) };
        self.shared.in_background(work.instrument(tracing::Span::current()));
        outcome.await.unwrap_or_else(|_| Err(actor_is_gone()))
    }

    #[tracing::instrument(skip_all)]
    async fn begin(&self, request: Begin) -> Result<Ticket, Failure> {
        let permit = self.permit()?;
        self.admit(request, permit).await
    }

    async fn progress(&self, ticket: &Ticket, stored_bytes: u64) -> Result<(), Failure> {
        let addr = self.actor_of(ticket)?;
        under_deadline(addr.send(ReportProgress(stored_bytes))).await?
    }

    #[tracing::instrument(skip_all, fields(mxc = %request.ticket.mxc))]
    async fn commit(&self, request: Commit) -> Result<(), Failure> {
        if request.size_bytes > request.ticket.max_bytes {
            return Err(too_large(request.ticket.max_bytes));
        }
        match self.ask_commit(request.clone()).await {
            // The actor died under our hands: its successor, or the record, knows.
            Err(failure) if failure == actor_is_gone() => self.ask_commit(request).await,
            outcome => outcome,
        }
    }

    #[tracing::instrument(skip_all, fields(mxc = %ticket.mxc))]
    async fn abort(&self, ticket: &Ticket) -> Result<(), Failure> {
        match self.actor_of(ticket) {
            Ok(addr) => under_deadline(addr.send(AbortUpload { span: tracing::Span::current() })).await,
            // Nothing can commit it any more; but the caller may have finished the blob since.
            Err(failure) if failure.code == ErrorCode::NotFound => discard(&self.shared, ticket).await,
            Err(failure) => Err(failure),
        }
    }

    async fn moderate(&self, request: Moderate) -> Result<bool, Failure> {
        moderate::moderate(&self.shared, &request).await
    }

    #[tracing::instrument(skip_all, fields(moderator = %request.moderator))]
    async fn block(&self, request: Block) -> Result<(), Failure> {
        let (sha256, at) = (hex::encode(request.sha256), self.shared.clock.now());
        let blocked = Blocked { by: request.moderator, at, reason: request.reason };
        self.shared.catalog.block(&sha256, Some(&blocked).filter(|_| request.is_blocked)).await?;
        tracing::info!(sha256, is_blocked = request.is_blocked, moderator = %blocked.by, "block list");
        Ok(())
    }

    async fn usage(&self, user_id: &UserId) -> Result<Usage, Failure> {
        self.shared.accounts.usage(user_id).await
    }

    async fn list_uploads(&self, request: ListUploads) -> Result<Uploads, Failure> {
        self.shared.accounts.list(&request).await
    }

    async fn purge_copies(&self, read_before: Timestamp) -> Result<u64, Failure> {
        // It goes on if whoever asks gives up.
        let (shared, (answer, outcome)) = (Arc::clone(&self.shared), oneshot::channel());
        let work = async move { drop(answer.send(evict::purge(&shared, read_before).await)) };
        self.shared.in_background(work.instrument(tracing::Span::current()));
        outcome.await.unwrap_or_else(|_| Err(Failure::unavailable("the removal was interrupted")))
    }
}

/// No message to an actor waits for ever.
async fn under_deadline<T>(answer: impl Future<Output = Result<T, MailboxError>>) -> Result<T, Failure> {
    match tokio::time::timeout(ACTOR_DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(actor_is_gone()),
    }
}

fn actor_is_gone() -> Failure {
    Failure::unavailable("the upload was interrupted")
}

pub(crate) fn already_has_content() -> Failure {
    Failure::new(ErrorCode::CannotOverwriteMedia, "this id has content already")
}

pub(crate) fn too_large(max_bytes: u64) -> Failure {
    Failure::new(ErrorCode::TooLarge, format!("the upload is larger than {max_bytes} bytes"))
}

#[expect(clippy::expect_used, reason = "a ULID is written in the alphabet of blob ids")]
pub(crate) fn new_blob_id(now_ms: u64) -> BlobId {
    Ulid::from_parts(now_ms, rand::random()).to_string().parse().expect("a ULID is a blob id")
}
