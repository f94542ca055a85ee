//! One fetch from its first question to its commit.
//!
//! What arrives goes at the same time to those who wait and into a blob of ours. Nothing is
//! kept of a fetch that fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_blobs::{BlobStore, BlobWriter, Key, Observed, Observer};
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_proto::{Begin, Commit, Fetch, Target, Ticket, UploadService, leaving};
use heliograph_types::{ErrorCode, Failure, Mxc};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    ask::Asker,
    cluster::{Claim, Cluster},
    content::Content,
    flight::{Head, Pilot, Stored},
    journey::Lead,
    metrics,
    phase::Phase,
    resume::Transfer,
    verdict::{Blame, FetchError, Memory},
};

/// Reports come no faster, whatever the orchestrator wants.
const SHORTEST_REPORT_INTERVAL: Duration = Duration::from_millis(10);
/// How often to look for the copy that another instance is making.
const LOOK_FOR_COPY_EVERY: Duration = Duration::from_millis(250);

/// Fetches media.
pub(crate) struct Fetcher {
    pub(crate) asker: Asker,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) uploads: Arc<dyn UploadService>,
    /// The other instances, if there may be any.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) fetch_timeout: Duration,
    pub(crate) shutdown: CancellationToken,
}

/// Who makes the copy.
enum Turn {
    /// We do. If it took a while, the origin is to be asked again.
    Ours { ticket: Ticket, has_waited: bool },
    /// Another instance has done so.
    Copied(Arc<MediaRecord>),
}

impl Fetcher {
    /// Asks the origin; tells `pilot` of head and pieces, and answers where it is stored.
    pub(crate) async fn fetch(&self, request: &Fetch, pilot: &Pilot, lead: &Lead<'_>) -> Result<Stored, FetchError> {
        // After the claim: whoever had it before may have made the copy.
        if let Some(record) = self.find_copy(&request.mxc).await? {
            return serve_copy(&record, pilot);
        }
        if lead.is_successor {
            tracing::info!(mxc = %request.mxc, "a fetch that another instance did not finish is taken over");
        }
        metrics::turn(if lead.is_successor { "taken_over" } else { "led" });
        // A successor may have to wait for its ticket: it asks the origin when that is there.
        let mut content = None;
        if !lead.is_successor {
            content = Some(self.bounded(lead, origin_is_late, self.asker.open(request)).await?);
        }
        let declared_bytes = content.as_ref().and_then(|content| content.head.size_bytes);
        let turn = self.take_turn(&request.mxc, declared_bytes, &mut content, lead.claim);
        match self.bounded(lead, others_are_late, turn).await? {
            Turn::Copied(record) => serve_copy(&record, pilot),
            Turn::Ours { ticket, has_waited } => {
                let result = self.fill(request, &ticket, content.filter(|_| !has_waited), pilot, lead).await;
                if result.is_err() {
                    self.abort(&ticket).await;
                }
                result
            }
        }
    }

    pub(crate) async fn find_copy(&self, mxc: &Mxc) -> Result<Option<Arc<MediaRecord>>, FetchError> {
        self.catalog.find(mxc).await.map_err(FetchError::ours)
    }

    /// Until the deadline, shutdown, or a take-over, whatever comes first. `late` says whose
    /// fault it is.
    pub(crate) async fn bounded<T>(
        &self,
        lead: &Lead<'_>,
        late: fn() -> FetchError,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        tokio::select! {
            result = timeout_at(lead.deadline, work) => result.unwrap_or_else(|_| Err(late())),
            () = self.shutdown.cancelled() => Err(FetchError::ours(leaving())),
            () = lead.lost() => Err(FetchError::ours(Failure::unavailable("another instance has taken over"))),
        }
    }

    /// Asks for admission. While another instance makes the copy, waits for it, and takes
    /// over if it gives up; the origin's answer is let go meanwhile, unless the fetch is ours.
    async fn take_turn(
        &self,
        mxc: &Mxc,
        declared_bytes: Option<u64>,
        content: &mut Option<Content>,
        claim: Option<&Claim<'_>>,
    ) -> Result<Turn, FetchError> {
        let mut has_waited = false;
        loop {
            let begin = Begin { target: Target::Remote(mxc.clone()), uploader: None, declared_bytes, store: None };
            match self.uploads.begin(begin).await {
                Ok(ticket) => {
                    if let Some(claim) = claim {
                        claim.tell_ticket(&ticket).await;
                    }
                    return Ok(Turn::Ours { ticket, has_waited });
                }
                Err(failure) if failure.code == ErrorCode::CannotOverwriteMedia => {}
                Err(failure) if failure.code == ErrorCode::TooLarge => return Err(FetchError::too_large()),
                Err(failure) => return Err(FetchError::ours(failure)),
            }
            if let Some(claim) = claim {
                self.remove_predecessor(claim).await;
            } else {
                (*content, has_waited) = (None, true);
            }
            if let Some(record) = self.wait_for_copy(mxc, claim.is_some()).await? {
                return Ok(Turn::Copied(record));
            }
        }
    }

    /// Gives up the upload of an instance that has lost the claim to us.
    async fn remove_predecessor(&self, claim: &Claim<'_>) {
        if let Some(ticket) = claim.find_ticket_before().await {
            tracing::info!(mxc = %ticket.mxc, "what another instance has begun to store is given up");
            self.abort(&ticket).await;
        }
    }

    /// Waits for the copy of another instance; shortly, if its fetch is ours by now.
    async fn wait_for_copy(&self, mxc: &Mxc, is_ours: bool) -> Result<Option<Arc<MediaRecord>>, FetchError> {
        const LOOKS_BETWEEN_TRIES: usize = 8;
        for _ in 0..if is_ours { 1 } else { LOOKS_BETWEEN_TRIES } {
            if let Some(record) = self.find_copy(mxc).await? {
                return Ok(Some(record));
            }
            sleep(LOOK_FOR_COPY_EVERY).await;
        }
        Ok(None)
    }

    /// Fills the blob of `ticket` and commits it.
    async fn fill(
        &self,
        request: &Fetch,
        ticket: &Ticket,
        content: Option<Content>,
        pilot: &Pilot,
        lead: &Lead<'_>,
    ) -> Result<Stored, FetchError> {
        let mut content = match content {
            Some(content) => content,
            None => self.bounded(lead, origin_is_late, self.asker.open(request)).await?,
        };
        content.limit(ticket.max_bytes)?;
        let key = Key::new(ticket.blob.as_str()).map_err(FetchError::ours)?;
        let mut writer = self.blobs.begin(&key).await.map_err(FetchError::ours)?;
        pilot.head(content.head.clone())?;
        let (arrived, head) = (AtomicU64::new(0), content.head.clone());
        let mut transfer = Transfer::new(&self.asker, request, content);
        let copy = async {
            tokio::select! {
                copied = copy(&mut transfer, writer.as_mut(), pilot, &arrived) => copied,
                given_up = self.report(ticket, &arrived) => Err(given_up),
            }
        };
        let begun = Instant::now();
        let copied = self.bounded(lead, media_is_late, copy).await;
        metrics::phase_took("body", begun.elapsed());
        let copied = match copied {
            Ok(copied) => copied,
            Err(error) => {
                writer.abort().await;
                return Err(error);
            }
        };
        let begun = Instant::now();
        let mut finish = writer.finish();
        let finished = tokio::select! {
            finished = &mut finish => finished,
            // The commit will tell.
            _ = self.report(ticket, &arrived) => finish.await,
        };
        metrics::phase_took("store", begun.elapsed());
        finished.map_err(FetchError::ours)?;
        let (size_bytes, begun) = (copied.size_bytes, Instant::now());
        let committed = self.commit(to_commit(copied, ticket, head)).await;
        metrics::phase_took("commit", begun.elapsed());
        committed?;
        metrics::fetched(size_bytes);
        Ok(Stored { key: self.place_of(&request.mxc, key).await, size_bytes })
    }

    /// Where the copy is. If the same content was there before, what we have written goes.
    async fn place_of(&self, mxc: &Mxc, written: Key) -> Key {
        let record = self.catalog.find(mxc).await.inspect_err(|error| tracing::debug!(%mxc, %error, "no record"));
        let place = record.ok().flatten().and_then(|record| record.blob_key().ok());
        place.unwrap_or(written)
    }

    /// Tells the orchestrator, over and over, that the fetch is alive, however slow the
    /// origin or the store is. Ends only if the orchestrator knows the ticket no more; a
    /// short absence of it is no reason to give up.
    async fn report(&self, ticket: &Ticket, arrived: &AtomicU64) -> FetchError {
        loop {
            sleep(ticket.report_every().max(SHORTEST_REPORT_INTERVAL)).await;
            match self.uploads.progress(ticket, arrived.load(Ordering::Relaxed)).await {
                Err(failure) if failure.code == ErrorCode::NotFound => return given_up(),
                Err(error) => tracing::debug!(mxc = %ticket.mxc, %error, "progress was not told"),
                Ok(()) => {}
            }
        }
    }

    /// May be called again after success, so one more try does no harm.
    async fn commit(&self, commit: Commit) -> Result<(), FetchError> {
        let first = self.uploads.commit(commit.clone()).await;
        match first {
            Err(failure) if failure.code.may_be_retried() => self.uploads.commit(commit).await,
            other => other,
        }
        .map_err(|failure| if failure.code == ErrorCode::NotFound { given_up() } else { FetchError::ours(failure) })
    }

    /// If this fails too, the orchestrator removes the remains by itself.
    async fn abort(&self, ticket: &Ticket) {
        if let Err(error) = self.uploads.abort(ticket).await {
            tracing::warn!(mxc = %ticket.mxc, %error, "a failed fetch could not be aborted");
        }
    }
}

/// Passes the content on to those who wait, and to the store.
async fn copy(
    transfer: &mut Transfer<'_>,
    writer: &mut dyn BlobWriter,
    pilot: &Pilot,
    arrived: &AtomicU64,
) -> Result<Observed, FetchError> {
    let mut observer = Observer::default();
    while let Some(piece) = transfer.next().await? {
        observer.observe(&piece);
        pilot.piece(piece.clone())?;
        writer.write(piece).await.map_err(FetchError::ours)?;
        arrived.store(observer.size_bytes(), Ordering::Relaxed);
    }
    pilot.finish()?;
    Ok(observer.finish())
}

/// The orchestrator's "not found" is about the ticket, not about the medium.
fn given_up() -> FetchError {
    FetchError::ours(Failure::unavailable("the fetch took too long and was given up"))
}

fn origin_is_late() -> FetchError {
    metrics::gave_up(Phase::Total.name());
    FetchError::origin("it did not answer while the fetch lasted")
}

fn others_are_late() -> FetchError {
    FetchError::ours(Failure::unavailable("another instance takes too long to fetch this"))
}

/// An origin that is silent or slow is noticed long before: this one sends, but too much for the time.
fn media_is_late() -> FetchError {
    Phase::Total.late()
}

pub(crate) fn serve_copy(record: &MediaRecord, pilot: &Pilot) -> Result<Stored, FetchError> {
    let key = record.blob_key().map_err(FetchError::ours)?;
    pilot.head(Head {
        content_type: record.content_type.clone(),
        file_name: record.file_name.clone(),
        size_bytes: Some(record.size_bytes),
    })?;
    let stored = Stored { key, size_bytes: record.size_bytes };
    pilot.check_whole(&stored)?;
    Ok(stored)
}

fn to_commit(observed: Observed, ticket: &Ticket, head: Head) -> Commit {
    let Observed { size_bytes, sha256, sniffed_type } = observed;
    let Head { content_type, file_name, .. } = head;
    let (ticket, sha256) = (ticket.clone(), Some(sha256));
    Commit { ticket, size_bytes, sha256, content_type, sniffed_type, file_name, is_direct: false }
}

/// What the origin is to be told by its actor.
impl FetchError {
    pub(crate) fn into_outcome(self, memory: Memory) -> crate::origin::Outcome {
        use crate::origin::Outcome;
        match self.blame {
            Blame::Missing => Outcome::MediaFailed(self.failure, memory.missing),
            Blame::TooLarge => Outcome::MediaFailed(self.failure, memory.too_large),
            Blame::Media => Outcome::MediaFailed(self.failure, memory.failed),
            Blame::Throttle(span) => Outcome::Throttled(span),
            Blame::Origin => Outcome::OriginFailed,
            Blame::Nobody => Outcome::Answered,
            Blame::Ours => Outcome::Ours,
        }
    }
}
