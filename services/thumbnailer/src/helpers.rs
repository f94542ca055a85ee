//! Pictures of what is no picture: of films, of music with a cover, of PDFs. Programs that are installed make them,
//! in a jail of their own. What they make is a stranger's file as well, and is worked on like any other picture.

mod command;
mod kind;
mod spool;
mod trial;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use heliograph_blobs::BlobStore;
use heliograph_catalog::MediaRecord;
use heliograph_imaging::RenderError;
use heliograph_jail::{HelperError, HelperJob, Jail, Launcher, Limits, Policy, run_helper};
use heliograph_types::{ContentType, Failure};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};

pub use self::trial::try_helpers;
use self::{command::commands, kind::Kind};
use crate::{ThumbnailsConfig, error::Refusal};

/// What our own program is called with, to become a helper.
pub const HELPER_COMMAND: &str = "become-helper";
/// Files that a helper may have open.
const OPEN_FILES: u64 = 64;
/// A picture of 1600 times 1600 pixels, not compressed, has half of that.
const MOST_PICTURE_BYTES: usize = 16 << 20;

/// The helpers that there are.
#[derive(Debug)]
pub(crate) struct Helpers {
    ffmpeg: Option<PathBuf>,
    pdf_renderer: Option<PathBuf>,
    launcher: Launcher,
    jail: Jail,
    limits: Limits,
    timeout: Duration,
    /// Those that may run at once.
    room: Semaphore,
}

impl Helpers {
    pub(crate) fn new(config: &ThumbnailsConfig) -> Self {
        Self {
            ffmpeg: config.ffmpeg.clone(),
            pdf_renderer: config.pdf_renderer.clone(),
            launcher: Launcher { path: "/proc/self/exe".into(), arguments: vec![HELPER_COMMAND.to_owned()] },
            jail: config.jail.into(),
            limits: Limits {
                memory_bytes: config.helper_memory.as_u64(),
                processor: config.helper_timeout,
                open_files: OPEN_FILES,
            },
            timeout: config.helper_timeout,
            room: Semaphore::new(config.workers().min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Whether there may be a picture of what calls itself so. Its content is looked at later.
    pub(crate) fn may_know(&self, content_type: &ContentType) -> bool {
        match content_type.essence().as_str() {
            "application/pdf" => self.pdf_renderer.is_some(),
            "application/ogg" => self.ffmpeg.is_some(),
            other => self.ffmpeg.is_some() && (other.starts_with("video/") || other.starts_with("audio/")),
        }
    }

    /// Makes a picture of the content of a record. What is wrong with the content comes back inside.
    pub(crate) async fn picture_of(
        &self,
        blobs: &dyn BlobStore,
        record: &MediaRecord,
    ) -> Result<Result<Bytes, Refusal>, Failure> {
        let blob = record.blob_key()?;
        let beginning = spool::beginning(blobs, &blob, record.size_bytes).await?;
        let Some((kind, program)) = Kind::sniff(&beginning).and_then(|kind| Some((kind, self.program_for(kind)?)))
        else {
            return Ok(Err(RenderError::UnknownFormat.into()));
        };
        let _permit = self.room.acquire().await.map_err(|_closed| Failure::unavailable("shutting down"))?;
        let file = spool::spool(blobs, &blob, record.size_bytes).await?;
        self.make(kind, program, &file).await
    }

    fn program_for(&self, kind: Kind) -> Option<&Path> {
        match kind {
            Kind::Timed { .. } => self.ffmpeg.as_deref(),
            Kind::Pdf => self.pdf_renderer.as_deref(),
        }
    }

    /// Tries what there is to try, within the time for all.
    async fn make(&self, kind: Kind, program: &Path, file: &File) -> Result<Result<Bytes, Refusal>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut told = "the file has no picture".to_owned();
        for arguments in commands(kind, program) {
            let job = HelperJob {
                program: program.to_owned(),
                arguments,
                policy: Policy { jail: self.jail, limits: self.limits },
                wall: deadline.saturating_duration_since(Instant::now()),
                most_output_bytes: MOST_PICTURE_BYTES,
            };
            let input = spool::again(file)?;
            match run_helper(&self.launcher, &job, input).await {
                Ok(picture) if !picture.is_empty() => return Ok(Ok(picture)),
                Ok(_) => {}
                Err(HelperError::Failed { words, .. }) => {
                    tracing::debug!(program = %program.display(), words, "a helper failed");
                    "the file cannot be read by the helper".clone_into(&mut told);
                }
                Err(error @ (HelperError::Time | HelperError::TooMuch { .. })) => {
                    told = format!("the helper {error}");
                    break;
                }
                Err(HelperError::NotStarted(error)) => {
                    tracing::error!(%error, program = %program.display(), "a helper cannot be started");
                    return Err(Failure::unavailable("the helper for this type cannot be started"));
                }
            }
        }
        Ok(Err(RenderError::Broken(told).into()))
    }
}
