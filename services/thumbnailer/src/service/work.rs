//! From a stored file to what is made of it, or to why nothing is.

use std::{sync::Arc, time::Instant};

use heliograph_catalog::MediaRecord;
use heliograph_imaging::{self as imaging, Done, Header, Job, Made, RenderError};
use heliograph_proto::MOST_THUMBNAIL_BYTES;
use heliograph_types::ThumbnailVariant;
use tokio::sync::OwnedSemaphorePermit;

use super::{SharedFlight, Stopped, Studio, is_picture, is_remote, room::Place};
use crate::{error::Refusal, file::PictureFile, flights::Flight, metrics, wanted::Choice};

/// What is worked on; if it is no good, that is remembered of it.
pub(super) struct Subject {
    pub(super) record: Arc<MediaRecord>,
    /// The one thumbnail that is to be made of it, if it is one.
    pub(super) thumbnail: Option<ThumbnailVariant>,
}

/// An open file whose header is good, with the room that it takes.
pub(super) struct Opened {
    file: PictureFile,
    pub(super) header: Header,
    _held: (Place, OwnedSemaphorePermit),
}

impl Studio {
    /// Opens a file as soon as there is room for it, and looks at its header. Not one that was no good a
    /// short while ago.
    pub(super) async fn open<P: Send + Sync + 'static>(
        &self,
        subject: &Subject,
        flight: &SharedFlight<P>,
    ) -> Result<Opened, Stopped> {
        let record = &*subject.record;
        if let Some(refusal) = self.refusals.find(record, subject.thumbnail).await {
            return Err(refusal.into_failure(is_remote(record)).into());
        }
        let held = self.admit(flight).await?;
        let file = self.read(subject, flight).await?;
        match self.look_at(&file, flight).await? {
            Ok(header) => Ok(Opened { file, header, _held: held }),
            Err(refusal) => Err(self.refuse(subject, refusal).await),
        }
    }

    /// The picture itself, or one that a helper makes.
    async fn read<P>(&self, subject: &Subject, flight: &Flight<P>) -> Result<PictureFile, Stopped> {
        let record = &*subject.record;
        if is_picture(record) {
            let begun = Instant::now();
            let file = PictureFile::open(&*self.deps.blobs, &record.blob_key()?, record.size_bytes).await?;
            metrics::read(record.size_bytes, begun.elapsed());
            return Ok(file);
        }
        let picture = tokio::select! {
            picture = self.helpers.picture_of(&*self.deps.blobs, record) => picture?,
            () = flight.abandoned() => return Err(Stopped::Abandoned),
        };
        match picture {
            Ok(picture) => Ok(PictureFile::of(&picture)?),
            Err(refusal) => Err(self.refuse(subject, refusal).await),
        }
    }

    /// Works on a file.
    pub(super) async fn work<T, P: Send + Sync + 'static>(
        &self,
        (subject, Opened { file, header, .. }): (&Subject, &Opened),
        job: Job,
        check: impl FnOnce(Done) -> Result<T, Refusal> + Send,
        flight: &SharedFlight<P>,
    ) -> Result<T, Stopped> {
        match self.work_on(file, header, job, flight).await?.and_then(check) {
            Ok(product) => Ok(product),
            Err(refusal) => Err(self.refuse(subject, refusal).await),
        }
    }

    async fn refuse(&self, subject: &Subject, refusal: Refusal) -> Stopped {
        self.refusals.note(&subject.record, subject.thumbnail, &refusal).await;
        refusal.into_failure(is_remote(&subject.record)).into()
    }

    /// One thumbnail.
    pub(super) fn to_job(&self, choice: Choice) -> Job {
        Job { wanted: vec![choice.into()], describe: false, rules: self.rules, quality: self.config.quality() }
    }

    /// What is seen of a picture, and these thumbnails, from one look.
    pub(super) fn to_description(&self, wanted: Vec<imaging::Wanted>) -> Job {
        Job { wanted, describe: true, rules: self.rules, quality: self.config.quality() }
    }
}

/// The one thumbnail that was made. What the contract could not carry is none.
pub(super) fn the_only(done: Done) -> Result<Made, Refusal> {
    let made = done.thumbnails.into_iter().next().ok_or_else(|| RenderError::Broken("nothing was made".to_owned()))?;
    match made.image.len() {
        bytes if bytes > MOST_THUMBNAIL_BYTES => Err(Refusal::TooManyBytes { bytes, most: MOST_THUMBNAIL_BYTES }),
        _ => Ok(made),
    }
}
