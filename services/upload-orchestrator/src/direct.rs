//! Uploads that go straight into the store (MSC3870).
//!
//! The client gets a URL that may write one key, and says when it is done. What lies there is
//! then copied, by the store itself, to a key that no URL writes; only the copy is looked at and
//! recorded. So whatever is put there later, nobody gets.
//!
//! A picture out of which metadata is to be taken is not copied, but read and written by us.

use std::time::Duration;

use futures_util::TryStreamExt;
use heliograph_blobs::{BlobError, Grant, Key, Observed, Observer, Stat};
use heliograph_catalog::{Lookup, direct_key};
use heliograph_proto::{Begin, Commit, Complete, Presign, Target, Ticket, UploadService};
use heliograph_strip::{Kind, Stripper};
use heliograph_types::{ContentType, ErrorCode, Failure, Mxc, StoreName};
use tokio::time::{Instant, sleep};

use crate::{
    UploadOrchestrator,
    actors::upload::unwanted,
    config::DirectInspection,
    metrics,
    service::{already_has_content, too_large},
};

/// Types are told by so many bytes at the beginning.
const HEAD_BYTES: u64 = 8 << 10;
/// How long a completion waits for another one of the same id.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What stores say of content of which nothing was said.
const UNTOLD: &str = "binary/octet-stream";

impl UploadOrchestrator {
    /// Where the content of an id can be put for this time; `None` if it has to come through us.
    pub(crate) async fn presign_target(
        &self,
        mxc: &Mxc,
        store: Option<&StoreName>,
        lifetime: Duration,
    ) -> Result<Option<String>, Failure> {
        if !self.shared.config.direct {
            return Ok(None);
        }
        let url = self.shared.blobs.presign(&direct_key(mxc, store), Grant::Put, lifetime).await?;
        Ok(url.map(String::from))
    }

    /// The same for an id that was given out before.
    pub(crate) async fn presign_reserved(&self, request: &Presign) -> Result<String, Failure> {
        let Presign { mxc, uploader, store } = request;
        self.check_store(store.as_ref())?;
        let expires_at = match self.shared.catalog.lookup(mxc).await? {
            Lookup::Pending(reserved) if reserved.uploader == *uploader => reserved.unused_expires_at,
            Lookup::Ready(record) if record.uploader.as_ref() == Some(uploader) => return Err(already_has_content()),
            Lookup::Pending(_) | Lookup::Ready(_) => return Err(belongs_to_another()),
            Lookup::Missing => return Err(Failure::not_found()),
        };
        let lifetime = expires_at.since(self.shared.clock.now());
        let url = self.presign_target(mxc, store.as_ref(), lifetime).await?;
        url.ok_or_else(|| Failure::new(ErrorCode::Unrecognized, "content has to be uploaded here"))
    }

    /// Makes what was put there the content of its id.
    pub(crate) async fn complete_direct(&self, request: Complete) -> Result<(), Failure> {
        self.check_store(request.store.as_ref())?;
        let target = direct_key(&request.mxc, request.store.as_ref());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.is_complete(&request).await? {
                return Ok(());
            }
            match self.try_complete(&request, &target).await {
                // Another completion, or an ordinary upload, is going on: it decides.
                Err(failure) if failure.code == ErrorCode::CannotOverwriteMedia => {
                    if Instant::now() >= deadline {
                        return Err(Failure::unavailable("this id is just being filled: ask again"));
                    }
                    sleep(LOOK_AGAIN).await;
                }
                // What was put there goes with the completion that has taken it over.
                Err(failure) if failure.code == ErrorCode::NothingUploaded && self.is_complete(&request).await? => {
                    return Ok(());
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether an earlier completion has succeeded.
    async fn is_complete(&self, request: &Complete) -> Result<bool, Failure> {
        match self.shared.catalog.lookup(&request.mxc).await? {
            Lookup::Missing => Err(Failure::not_found()),
            Lookup::Ready(record) if record.uploader.as_ref() != Some(&request.uploader) => Err(belongs_to_another()),
            Lookup::Pending(reserved) if reserved.uploader != request.uploader => Err(belongs_to_another()),
            Lookup::Ready(record) if record.direct => Ok(true),
            Lookup::Ready(_) => Err(already_has_content()),
            Lookup::Pending(_) => Ok(false),
        }
    }

    async fn try_complete(&self, request: &Complete, target: &Key) -> Result<(), Failure> {
        let stat = self.stat_target(target).await?;
        let size_bytes = stat.size_bytes;
        let begin = Begin {
            target: Target::Reserved(request.mxc.clone()),
            uploader: Some(request.uploader.clone()),
            declared_bytes: Some(size_bytes),
            store: request.store.clone(),
        };
        let ticket = match self.admit(begin, self.permit()?).await {
            Ok(ticket) => ticket,
            // Too large, or over the quota: it goes, and the id stays free.
            Err(failure) => {
                if !failure.code.may_be_retried() && failure.code != ErrorCode::CannotOverwriteMedia {
                    self.remove_target(target).await;
                }
                return Err(failure);
            }
        };
        let outcome = self.take_over(request, target, &ticket, stat).await;
        match &outcome {
            Ok(()) => {
                metrics::completed(size_bytes);
                self.remove_target(target).await;
            }
            Err(failure) => {
                tracing::debug!(mxc = %ticket.mxc, %failure, "not completed");
                drop(self.abort(&ticket).await);
                if matches!(failure.code, ErrorCode::TooLarge | ErrorCode::Forbidden | ErrorCode::UserLimitExceeded) {
                    self.remove_target(target).await;
                }
            }
        }
        outcome
    }

    async fn stat_target(&self, target: &Key) -> Result<Stat, Failure> {
        self.shared.blobs.stat(target).await.map_err(|error| match error {
            BlobError::NotFound { .. } => {
                Failure::new(ErrorCode::NothingUploaded, "nothing was uploaded to this id yet")
            }
            error => error.into(),
        })
    }

    /// Brings what was put there to where it stays, looks at it there, and commits it.
    async fn take_over(&self, request: &Complete, target: &Key, ticket: &Ticket, stat: Stat) -> Result<(), Failure> {
        let blob = Key::new(ticket.blob.as_str())?;
        let seen = if self.is_to_be_stripped(target, stat.size_bytes).await? {
            self.alive(ticket, self.strip(target, &blob, stat.size_bytes)).await?
        } else {
            self.copy(target, &blob, ticket).await?
        };
        if seen.sha256.is_some_and(|digest| self.shared.catalog.is_blocked(&hex::encode(digest))) {
            self.burn(ticket).await;
            return Err(unwanted());
        }
        let content_type = stat.content_type.filter(|told| told != UNTOLD);
        let commit = Commit {
            ticket: ticket.clone(),
            size_bytes: seen.size_bytes,
            sha256: seen.sha256,
            content_type: content_type
                .map_or_else(ContentType::octet_stream, |told| ContentType::parse_or_octet_stream(&told)),
            sniffed_type: seen.sniffed_type,
            file_name: request.file_name.clone(),
            is_direct: true,
        };
        self.commit(commit).await
    }

    /// An id that was to be filled with what is not wanted is gone.
    async fn burn(&self, ticket: &Ticket) {
        match self.shared.catalog.remove_reserved(&ticket.mxc).await {
            Ok(()) => self.shared.forget_pending(ticket.uploader.as_ref(), &ticket.mxc).await,
            Err(error) => tracing::warn!(mxc = %ticket.mxc, %error, "an id stays that is to go"),
        }
    }

    /// Does work of an upload that may take long, and keeps the upload alive meanwhile.
    async fn alive<T>(&self, ticket: &Ticket, work: impl Future<Output = Result<T, BlobError>>) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(ticket.report_every(), &mut work).await {
                Ok(outcome) => return Ok(outcome?),
                Err(_) => self.progress(ticket, 0).await?,
            }
        }
    }

    async fn copy(&self, target: &Key, blob: &Key, ticket: &Ticket) -> Result<Seen, Failure> {
        self.alive(ticket, self.shared.blobs.copy(target, blob)).await?;
        let size_bytes = self.shared.blobs.size_of(blob).await?;
        if size_bytes > ticket.max_bytes {
            return Err(too_large(ticket.max_bytes));
        }
        // Something else was put there since we looked.
        if self.is_to_be_stripped(blob, size_bytes).await? {
            return Err(Failure::unavailable("the content was changed while it was completed: ask again"));
        }
        self.alive(ticket, self.inspect(blob, size_bytes)).await
    }

    async fn is_to_be_stripped(&self, content: &Key, size_bytes: u64) -> Result<bool, BlobError> {
        let kinds = &self.shared.config.strip_metadata;
        if kinds.is_empty() || size_bytes < Kind::SNIFFED_BYTES as u64 {
            return Ok(false);
        }
        let mut beginning = Vec::with_capacity(Kind::SNIFFED_BYTES);
        let mut pieces = self.shared.blobs.open(content, 0..Kind::SNIFFED_BYTES as u64).await?;
        while let Some(piece) = pieces.try_next().await? {
            beginning.extend_from_slice(&piece);
        }
        Ok(Kind::sniff(&beginning).is_some_and(|kind| kinds.contains(&kind)))
    }

    /// Copies a picture without its metadata.
    async fn strip(&self, target: &Key, blob: &Key, size_bytes: u64) -> Result<Seen, BlobError> {
        let mut stripper = Stripper::new(&self.shared.config.strip_metadata);
        let mut observer = Observer::default();
        let mut pieces = self.shared.blobs.open(target, 0..size_bytes).await?;
        let mut writer = self.shared.blobs.begin(blob).await?;
        while let Some(piece) = pieces.try_next().await? {
            for piece in stripper.push(piece) {
                observer.observe(&piece);
                writer.write(piece).await?;
            }
        }
        let (rest, report) = stripper.finish();
        if let Some(rest) = rest {
            observer.observe(&rest);
            writer.write(rest).await?;
        }
        writer.finish().await?;
        report.count();
        let Observed { size_bytes, sha256, sniffed_type } = observer.finish();
        Ok(Seen { size_bytes, sniffed_type, sha256: Some(sha256) })
    }

    /// Reads as much of the content as is configured.
    async fn inspect(&self, blob: &Key, size_bytes: u64) -> Result<Seen, BlobError> {
        let read_bytes = match self.shared.config.direct_inspection {
            DirectInspection::None => return Ok(Seen { size_bytes, sniffed_type: None, sha256: None }),
            DirectInspection::Head => size_bytes.min(HEAD_BYTES),
            DirectInspection::Full => size_bytes,
        };
        let mut observer = Observer::default();
        let mut pieces = self.shared.blobs.open(blob, 0..read_bytes).await?;
        while let Some(piece) = pieces.try_next().await? {
            observer.observe(&piece);
        }
        let Observed { size_bytes: seen_bytes, sha256, sniffed_type } = observer.finish();
        Ok(Seen { size_bytes, sniffed_type, sha256: (seen_bytes == size_bytes).then_some(sha256) })
    }

    /// The sweep does what fails here.
    async fn remove_target(&self, target: &Key) {
        if let Err(error) = self.shared.blobs.delete(target).await {
            tracing::warn!(%target, %error, "what was put there stays until the sweep");
        }
    }
}

/// What was learned by reading content.
#[derive(Debug)]
struct Seen {
    size_bytes: u64,
    sniffed_type: Option<ContentType>,
    /// If all of it was read.
    sha256: Option<[u8; 32]>,
}

fn belongs_to_another() -> Failure {
    Failure::new(ErrorCode::Forbidden, "this id belongs to another user")
}
