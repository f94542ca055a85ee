//! One actor per upload in progress.
//!
//! Owns:  the state of one upload, its timers, its lease.
//! Lives: from admission until the upload is committed or given up.
//! Dies:  a panic loses it; the registry starts another from the ticket.
//! Load:  its permit is the admission; a message per progress report.

use std::{future::Future, sync::Arc, time::Duration};

use actix::prelude::*;
use heliograph_blobs::Key;
use heliograph_catalog::{CatalogError, MediaRecord};
use heliograph_leases::Lease;
use heliograph_proto::{Commit, Ticket};
use heliograph_types::{ErrorCode, Failure, Mxc, UserId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{Instrument, Span, debug_span, instrument::Instrumented};

use crate::{
    actors::registry::{Incarnation, Shared},
    discard::discard_unless_recorded,
    metrics,
    session::{Effect, Event, State},
    sharing,
};

/// How long an id is owned without renewal.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(30);
/// The same for a copy of remote media: if its process is gone, another one is to make it, while
/// somebody reads what has arrived.
const COPY_LEASE_TTL: Duration = Duration::from_secs(6);

/// How long the id of an upload is owned without renewal; copies have no uploader.
pub(crate) const fn lease_ttl(uploader: Option<&UserId>) -> Duration {
    if uploader.is_none() { COPY_LEASE_TTL } else { LEASE_TTL }
}

/// Who fills an id owns this.
pub(crate) fn lease_key(mxc: &Mxc) -> String {
    format!("upload:{mxc}")
}

/// See the top of the file.
pub(crate) struct UploadActor {
    pub(crate) ticket: Ticket,
    /// Whether another actor has owned the upload before: what it has done is not known.
    is_successor: bool,
    pub(crate) lease: Option<Lease>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) incarnation: Option<Incarnation>,
    _permit: OwnedSemaphorePermit,
    state: State,
    idle_timer: Option<SpawnHandle>,
    commit: Option<Commit>,
    /// The request that what is done now is a part of, if it is one: nobody asks timers.
    cause: Span,
    awaiting_commit: Vec<oneshot::Sender<Result<(), Failure>>>,
}

impl UploadActor {
    /// An upload that was just admitted.
    pub(crate) fn new(ticket: Ticket, lease: Option<Lease>, shared: Arc<Shared>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            ticket,
            is_successor: false,
            lease,
            shared,
            incarnation: None,
            _permit: permit,
            state: State::Receiving { stored_bytes: 0 },
            idle_timer: None,
            commit: None,
            cause: Span::none(),
            awaiting_commit: Vec::new(),
        }
    }

    /// An upload that is picked up again.
    pub(crate) fn successor(ticket: Ticket, shared: Arc<Shared>, permit: OwnedSemaphorePermit) -> Self {
        Self { is_successor: true, ..Self::new(ticket, None, shared, permit) }
    }
}

// === messages ===

/// More bytes are stored.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct ReportProgress(pub(crate) u64);

/// Everything is stored: make it the content of the id. Answered through `answer`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CommitUpload {
    pub(crate) commit: Commit,
    pub(crate) answer: oneshot::Sender<Result<(), Failure>>,
    /// The request that all of this is a part of.
    pub(crate) span: Span,
}

/// The caller gives up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AbortUpload {
    /// The request that says so.
    pub(crate) span: Span,
}

/// Makes the actor panic, to see what is left then.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Panic;

// === lifecycle ===

impl Actor for UploadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::began();
        self.perform(Effect::ArmIdleTimer, ctx);
        ctx.run_later(self.shared.config.max_duration, |actor, ctx| actor.apply(Event::OutOfTime, ctx));
        if self.lease.is_some() {
            ctx.run_interval(self.lease_ttl() / 3, Self::renew_lease);
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::ended();
        // This runs after a panic too: then the upload is not over.
        let is_over = matches!(self.state, State::Committed | State::Discarding | State::Discarded);
        self.shared.uploads.remove(&self.ticket.blob_id, self.incarnation, is_over);
    }
}

// === handlers ===

impl Handler<ReportProgress> for UploadActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, ReportProgress(stored_bytes): ReportProgress, ctx: &mut Self::Context) -> Self::Result {
        self.apply(Event::Progressed(stored_bytes), ctx);
        match self.state {
            State::Receiving { .. } | State::Committing => Ok(()),
            State::Committed | State::Discarding | State::Discarded => Err(Failure::not_found()),
        }
    }
}

impl Handler<CommitUpload> for UploadActor {
    type Result = ();

    fn handle(&mut self, CommitUpload { commit, answer, span }: CommitUpload, ctx: &mut Self::Context) {
        self.awaiting_commit.push(answer);
        self.commit.get_or_insert(commit);
        self.caused_by(span);
        self.apply(Event::CommitAsked, ctx);
    }
}

impl Handler<AbortUpload> for UploadActor {
    type Result = ();

    fn handle(&mut self, AbortUpload { span }: AbortUpload, ctx: &mut Self::Context) {
        self.caused_by(span);
        self.apply(Event::AbortAsked, ctx);
    }
}

#[cfg(test)]
impl Handler<Panic> for UploadActor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("asked to");
    }
}

// === shell ===

impl UploadActor {
    /// Steps, keeps the state, performs each effect. An event that came too late is dropped.
    fn apply(&mut self, event: Event, ctx: &mut Context<Self>) {
        match self.state.step(event) {
            Ok((state, effects)) => {
                tracing::debug!(mxc = %self.ticket.mxc, ?event, ?state, "upload");
                self.state = state;
                count(event);
                for effect in effects {
                    self.perform(effect, ctx);
                }
            }
            Err(error) => tracing::debug!(mxc = %self.ticket.mxc, %error, "dropped"),
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::ArmIdleTimer => {
                self.perform(Effect::DisarmIdleTimer, ctx);
                let idle = self.shared.config.idle_timeout;
                self.idle_timer = Some(ctx.run_later(idle, |actor, ctx| actor.apply(Event::IdleTooLong, ctx)));
            }
            Effect::DisarmIdleTimer => {
                self.idle_timer.take().map(|timer| ctx.cancel_future(timer));
            }
            Effect::WriteRecord => self.write_record(ctx),
            Effect::RefuseCommit => self.answer_commit(&Err(Failure::not_found())),
            Effect::RemoveBlob => self.remove_blob(ctx),
            Effect::TakeLeaseAgain => self.take_lease_again(ctx),
            Effect::Stop => {
                self.release_lease();
                ctx.stop();
            }
        }
    }

    fn write_record(&mut self, ctx: &mut Context<Self>) {
        let Some(commit) = self.commit.take() else { return };
        let (ticket, must_look) = (self.ticket.clone(), self.is_successor);
        let record = self.record(commit);
        let shared = Arc::clone(&self.shared);
        let work =
            self.within_cause("upload commit", async move { create_record(&shared, record, ticket, must_look).await });
        ctx.spawn(work.into_actor(self).map(|outcome, actor, ctx| actor.recorded(&outcome, ctx)));
    }

    fn recorded(&mut self, outcome: &Result<(), Failure>, ctx: &mut Context<Self>) {
        let event = match outcome {
            Ok(()) => Event::Recorded,
            Err(failure) if failure.code.may_be_retried() => Event::RecordFailed,
            Err(_) => Event::Refused,
        };
        self.answer_commit(outcome);
        self.apply(event, ctx);
        // Another request may try again; until then there is none.
        self.cause = Span::none();
    }

    fn answer_commit(&mut self, outcome: &Result<(), Failure>) {
        for answer in self.awaiting_commit.drain(..) {
            let _ = answer.send(outcome.clone());
        }
    }

    fn record(&self, commit: Commit) -> MediaRecord {
        MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: self.ticket.mxc.clone(),
            content_type: commit.content_type,
            sniffed_type: commit.sniffed_type,
            size_bytes: commit.size_bytes,
            sha256: commit.sha256.map(hex::encode).unwrap_or_default(),
            blob: self.ticket.blob.clone(),
            upload: Some(self.ticket.blob_id.to_string()),
            direct: commit.is_direct,
            uploader: self.ticket.uploader.clone(),
            file_name: commit.file_name,
            created_at: self.shared.clock.now(),
            quarantined: None,
            protected: false,
            deleted: None,
        }
    }

    /// Until this is done the upload is ours, and nobody can pick it up and commit it.
    fn remove_blob(&self, ctx: &mut Context<Self>) {
        let (shared, ticket) = (Arc::clone(&self.shared), self.ticket.clone());
        let removal = async move {
            if let Err(error) = discard(&shared, &ticket).await {
                tracing::warn!(mxc = %ticket.mxc, %error, "remains of an upload stay until the sweep");
            }
        };
        let removal = self.within_cause("upload removal", removal);
        ctx.spawn(removal.into_actor(self).map(|(), actor, ctx| actor.apply(Event::Removed, ctx)));
    }

    fn lease_ttl(&self) -> Duration {
        lease_ttl(self.ticket.uploader.as_ref())
    }

    fn renew_lease(&mut self, ctx: &mut Context<Self>) {
        let Some(lease) = self.lease.clone() else { return };
        let (shared, ttl) = (Arc::clone(&self.shared), self.lease_ttl());
        let renewal = async move { shared.state.renew(&lease, ttl).await };
        ctx.spawn(renewal.into_actor(self).map(|renewed, actor, ctx| {
            // Without an answer we do not know: the next renewal will tell.
            if let Ok(false) = renewed {
                actor.apply(Event::LeaseLost, ctx);
            }
        }));
    }

    fn take_lease_again(&mut self, ctx: &mut Context<Self>) {
        let Some(Lease { key, .. }) = self.lease.clone() else { return };
        let (shared, ttl) = (Arc::clone(&self.shared), self.lease_ttl());
        let attempt = async move { shared.state.try_acquire(&key, ttl).await };
        ctx.spawn(attempt.into_actor(self).map(|lease, actor, _| {
            if let Ok(Some(lease)) = lease {
                actor.lease = Some(lease);
            }
        }));
    }

    fn release_lease(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let shared = Arc::clone(&self.shared);
        self.in_background(async move {
            if let Err(error) = shared.state.release(&lease).await {
                tracing::debug!(key = lease.key, %error, "lease left to expire");
            }
        });
    }

    fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.in_background(work.instrument(self.cause.clone()));
    }

    /// Whoever comes later has caused nothing.
    fn caused_by(&mut self, span: Span) {
        if matches!(self.state, State::Receiving { .. }) {
            self.cause = span;
        }
    }

    /// The work as a part of the trace of whoever caused it.
    fn within_cause<F: Future>(&self, name: &'static str, work: F) -> Instrumented<Instrumented<F>> {
        let detail = self.cause.in_scope(|| debug_span!("upload actor", otel.name = name));
        work.instrument(detail).instrument(self.cause.clone())
    }
}

/// Removes what an upload has stored, and gives back what was set aside for it.
pub(crate) async fn discard(shared: &Shared, ticket: &Ticket) -> Result<(), Failure> {
    let blob = Key::new(ticket.blob.as_str())?;
    let now = discard_unless_recorded(&*shared.blobs, &shared.catalog, &ticket.mxc, &blob).await?;
    let uploader = ticket.uploader.as_ref();
    shared.accounts.set_right(uploader, &ticket.mxc, ticket.blob_id.as_str(), now.as_deref()).await;
    Ok(())
}

/// The commit itself: one create-only write. Afterwards those who wait are woken and the
/// id gives its place back; what is then superfluous goes in the background.
async fn create_record(
    shared: &Arc<Shared>,
    mut record: MediaRecord,
    ticket: Ticket,
    must_look: bool,
) -> Result<(), Failure> {
    if must_look {
        check_blob(shared, &record).await?;
    }
    if shared.catalog.is_blocked(&record.sha256) {
        return Err(unwanted());
    }
    // Counted first: of two uploads that no longer fit together, one is refused.
    shared.accounts.enter(&record, ticket.blob_id.as_str()).await?;
    if let Some(blob) = sharing::share(shared, &record).await {
        record.blob = blob.to_string();
    }
    match shared.catalog.create(&record).await {
        Ok(()) => {}
        Err(CatalogError::AlreadyExists(mxc)) => match shared.catalog.find_now(&mxc).await? {
            // An earlier try of this very commit has reached the store.
            Some(found) if found.is_of(ticket.blob_id.as_str()) => record = (*found).clone(),
            _ => {
                if record.blob != ticket.blob {
                    sharing::release(shared, &mxc, &record.blob_key()?).await;
                }
                return Err(crate::service::already_has_content());
            }
        },
        // The record may be there or not: what it may name stays.
        Err(error) => {
            tracing::error!(mxc = %record.mxc, %error, "could not write a record");
            return Err(error.into());
        }
    }
    metrics::committed(&record);
    sharing::publish(shared, &record).await;
    if ticket.is_reserved {
        shared.forget_pending(ticket.uploader.as_ref(), &record.mxc).await;
        shared.catalog.announce(&record.mxc).await;
    }
    let shared_ = Arc::clone(shared);
    shared.in_background(async move { shared_.tidy_after_commit(&ticket, &record).await }.in_current_span());
    Ok(())
}

/// For content on the block list.
pub(crate) fn unwanted() -> Failure {
    metrics::refused("blocked");
    Failure::new(ErrorCode::Forbidden, "this content is not accepted here")
}

/// No promise without the bytes: of an upload that another actor has owned, nobody knows whether
/// they were removed.
async fn check_blob(shared: &Shared, record: &MediaRecord) -> Result<(), Failure> {
    match shared.blobs.size_of(&record.blob_key()?).await {
        Ok(size_bytes) if size_bytes == record.size_bytes => Ok(()),
        Ok(size_bytes) => {
            tracing::error!(mxc = %record.mxc, size_bytes, expected = record.size_bytes, "a blob is not whole");
            Err(Failure::not_found())
        }
        Err(error) => Err(error.into()),
    }
}

fn count(event: Event) {
    match event {
        Event::AbortAsked => metrics::refused("aborted"),
        Event::IdleTooLong => metrics::refused("idle"),
        Event::OutOfTime => metrics::refused("too_slow"),
        Event::Refused => metrics::refused("taken"),
        _ => {}
    }
}
