//! The byte path of an upload: from the body of a request into a blob.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::StreamExt;
use heliograph_blobs::{BlobError, BlobWriter, Key, Observed, Observer};
use heliograph_proto::{Begin, Commit, Ticket, UploadService};
use heliograph_strip::Stripper;
use heliograph_types::{ContentType, ErrorCode, Failure, FileName, Mxc};

use crate::{
    error::ApiError,
    limits::{Caller, STEP_BYTES},
    metrics,
    server::Front,
    work::Work,
};

/// How long to wait for an orchestrator that did not answer a commit.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the uploader says of the content.
pub(crate) struct Described {
    pub(crate) content_type: ContentType,
    pub(crate) file_name: Option<FileName>,
}

/// Takes the body and makes it the content of the target. When this answers, bytes and
/// record are durable. When it fails, or the client leaves, nothing stays.
pub(crate) async fn upload(
    front: &Front,
    caller: &Caller,
    begin: Begin,
    described: Described,
    body: &mut Payload,
) -> Result<Mxc, ApiError> {
    let (declared_bytes, asked_at) = (begin.declared_bytes, Instant::now());
    let upload = Upload::begin(front, begin).await?;
    // Only now: what is refused for its size costs nothing.
    front.limits.upload_bytes(caller, declared_bytes.unwrap_or(STEP_BYTES)).await?;
    let blob = Key::new(upload.ticket().blob.as_str()).map_err(Failure::from)?;
    let writer = front.blobs.begin(&blob).await?;
    metrics::upload_phase("admit", asked_at.elapsed());
    let admitted_at = Instant::now();
    let mut meter = Meter { caller, is_counted: declared_bytes.is_some(), uncounted_bytes: 0 };
    let received = receive(front, upload.ticket(), &mut meter, writer, body).await?;
    metrics::upload_phase("receive", admitted_at.elapsed());
    upload.finish(received, described).await
}

/// More than is taken.
pub(crate) fn too_large(most_bytes: u64) -> ApiError {
    ApiError::new(ErrorCode::TooLarge, format!("the upload is larger than {most_bytes} bytes"))
}

/// A body that has arrived as a whole.
struct Received {
    writer: Box<dyn BlobWriter>,
    observed: Observed,
}

/// Counts the bytes of a body whose length was not told, so that they count for the limits
/// of the caller.
struct Meter<'a> {
    caller: &'a Caller,
    is_counted: bool,
    uncounted_bytes: u64,
}

impl Meter<'_> {
    async fn arrived(&mut self, front: &Front, bytes: usize) -> Result<(), ApiError> {
        if self.is_counted {
            return Ok(());
        }
        self.uncounted_bytes += bytes as u64;
        if self.uncounted_bytes < STEP_BYTES {
            return Ok(());
        }
        front.limits.upload_bytes(self.caller, std::mem::take(&mut self.uncounted_bytes)).await
    }
}

async fn receive(
    front: &Front,
    ticket: &Ticket,
    meter: &mut Meter<'_>,
    writer: Box<dyn BlobWriter>,
    body: &mut Payload,
) -> Result<Received, ApiError> {
    let mut stored = Stored { writer, observer: Observer::default() };
    let mut stripper = Stripper::new(&front.strip_metadata);
    let mut arrived_bytes = 0;
    let mut reported_at = Instant::now();
    while let Some(piece) = next_piece(front, body).await? {
        arrived_bytes += piece.len() as u64;
        if arrived_bytes > ticket.max_bytes {
            stored.writer.abort().await;
            metrics::limited("upload_size");
            return Err(too_large(ticket.max_bytes));
        }
        meter.arrived(front, piece.len()).await?;
        stored.write_all(stripper.push(piece)).await?;
        if reported_at.elapsed() >= ticket.report_every() {
            reported_at = Instant::now();
            report(&*front.uploads, ticket, arrived_bytes).await?;
        }
    }
    let (rest, outcome) = stripper.finish();
    stored.write_all(rest).await?;
    outcome.count();
    Ok(Received { writer: stored.writer, observed: stored.observer.finish() })
}

/// What is stored: not always what has arrived.
struct Stored {
    writer: Box<dyn BlobWriter>,
    observer: Observer,
}

impl Stored {
    async fn write_all(&mut self, pieces: impl IntoIterator<Item = Bytes>) -> Result<(), BlobError> {
        for piece in pieces {
            self.observer.observe(&piece);
            self.writer.write(piece).await?;
        }
        Ok(())
    }
}

/// The next piece of a body, which may not stand still for long.
pub(crate) async fn next_piece(front: &Front, body: &mut Payload) -> Result<Option<Bytes>, ApiError> {
    match tokio::time::timeout(front.config.body_timeout, body.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => {
            tracing::debug!(%error, "a body broke off");
            Err(ApiError::new(ErrorCode::RequestTimeout, "the body broke off"))
        }
        Err(_) => {
            metrics::limited("body_timeout");
            Err(ApiError::new(ErrorCode::RequestTimeout, "the body stopped arriving"))
        }
    }
}

/// Tells that the upload is alive. A short absence of the orchestrator is no reason to give
/// up: the commit will tell.
async fn report(uploads: &dyn UploadService, ticket: &Ticket, stored_bytes: u64) -> Result<(), Failure> {
    match uploads.progress(ticket, stored_bytes).await {
        Err(failure) if failure.code == ErrorCode::NotFound => Err(given_up()),
        Err(failure) => {
            tracing::debug!(mxc = %ticket.mxc, %failure, "progress was not told");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The orchestrator does not know the upload any more.
fn given_up() -> Failure {
    Failure::new(ErrorCode::RequestTimeout, "the upload took too long and was given up")
}

/// An upload that was admitted. Dropped before it is finished, it is aborted.
struct Upload {
    uploads: Arc<dyn UploadService>,
    work: Work,
    ticket: Option<Ticket>,
}

impl Upload {
    /// Asks for admission. The question is not given up half-way if the client leaves: what
    /// was admitted then is aborted, and the id is free at once.
    async fn begin(front: &Front, begin: Begin) -> Result<Self, Failure> {
        let (work, uploads) = (front.work.clone(), Arc::clone(&front.uploads));
        let admission = async move {
            let ticket = uploads.begin(begin).await?;
            Ok(Self { uploads, work, ticket: Some(ticket) })
        };
        front.work.run_to_the_end(admission).await
    }

    #[expect(clippy::expect_used, reason = "only finish takes the ticket, and it takes the upload too")]
    fn ticket(&self) -> &Ticket {
        self.ticket.as_ref().expect("an upload that is not finished has its ticket")
    }

    /// Everything has arrived: from here on the upload completes, even if the client leaves.
    async fn finish(mut self, received: Received, described: Described) -> Result<Mxc, ApiError> {
        let Some(ticket) = self.ticket.take() else { return Err(Failure::internal("finished twice").into()) };
        let mxc = ticket.mxc.clone();
        let commit = Commit {
            ticket,
            size_bytes: received.observed.size_bytes,
            sha256: Some(received.observed.sha256),
            content_type: described.content_type,
            sniffed_type: received.observed.sniffed_type,
            file_name: described.file_name,
            is_direct: false,
        };
        let completion = complete(Arc::clone(&self.uploads), received.writer, commit);
        self.work.run_to_the_end(completion).await?;
        Ok(mxc)
    }
}

async fn complete(uploads: Arc<dyn UploadService>, writer: Box<dyn BlobWriter>, commit: Commit) -> Result<(), Failure> {
    let ticket = commit.ticket.clone();
    let begun = Instant::now();
    let finished = finish_alive(&*uploads, &commit, writer).await;
    metrics::upload_phase("store", begun.elapsed());
    let outcome = match finished {
        Ok(()) => {
            let begun = Instant::now();
            let committed = insist(&*uploads, commit).await;
            metrics::upload_phase("commit", begun.elapsed());
            committed
        }
        Err(error) => {
            tracing::error!(%error, "an upload could not be stored");
            Err(error.into())
        }
    };
    if outcome.is_err() {
        abort(&*uploads, &ticket).await;
    }
    outcome
}

/// Finishes the blob; a slow disk must not make the upload look abandoned.
async fn finish_alive(
    uploads: &dyn UploadService,
    commit: &Commit,
    writer: Box<dyn BlobWriter>,
) -> Result<(), BlobError> {
    let mut finish = writer.finish();
    loop {
        match tokio::time::timeout(commit.ticket.report_every(), &mut finish).await {
            Ok(outcome) => return outcome,
            // What is wrong with the upload, the commit will tell.
            Err(_) => drop(report(uploads, &commit.ticket, commit.size_bytes).await),
        }
    }
}

/// Commits, once more if the answer was lost: a commit may be repeated.
async fn insist(uploads: &dyn UploadService, commit: Commit) -> Result<(), Failure> {
    let outcome = match uploads.commit(commit.clone()).await {
        Err(failure) if failure.code == ErrorCode::Unavailable => {
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
            uploads.commit(commit).await
        }
        outcome => outcome,
    };
    outcome.map_err(|failure| if failure.code == ErrorCode::NotFound { given_up() } else { failure })
}

async fn abort(uploads: &dyn UploadService, ticket: &Ticket) {
    if let Err(failure) = uploads.abort(ticket).await {
        tracing::warn!(mxc = %ticket.mxc, %failure, "an upload is left to time out");
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let uploads = Arc::clone(&self.uploads);
        self.work.spawn(async move { abort(&*uploads, &ticket).await });
    }
}
