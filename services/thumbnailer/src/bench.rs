//! Where pictures are worked on.

pub(crate) mod admission;
mod budget;
mod processes;
#[cfg(test)]
pub(crate) mod threads;
pub(crate) mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use heliograph_imaging::{Cost, Done, Header, Job, Rules, Source};
use heliograph_jail::Mapping;

pub(crate) use self::{budget::address_space, processes::Processes};
use crate::{error::Refusal, file::PictureFile, flights::Flight};

/// Works on pictures; tests put their own in its place.
#[async_trait]
pub(crate) trait Bench: Send + Sync + 'static {
    /// Looks at the header of a file.
    async fn look(&self, file: &PictureFile, rules: &Rules, flown: &Flown) -> Result<Header, Refusal>;

    /// Does a job that costs so much. Not begun if nobody waits for it when its turn comes.
    async fn work(&self, file: &PictureFile, job: Job, cost: Cost, flown: &Flown) -> Result<Done, Refusal>;
}

/// Who waits for a picture.
pub(crate) type Flown = Arc<dyn Awaited>;

/// Something that somebody waits for, or nobody any more.
#[async_trait]
pub(crate) trait Awaited: Send + Sync + 'static {
    /// Whether somebody waits now.
    fn is_awaited(&self) -> bool;

    /// Until nobody waits any more.
    async fn abandoned(&self);
}

#[async_trait]
impl<V: Send + Sync + 'static> Awaited for Flight<V> {
    fn is_awaited(&self) -> bool {
        Self::is_awaited(self)
    }

    async fn abandoned(&self) {
        Self::abandoned(self).await;
    }
}

/// A file in memory, as pictures are read from.
pub(crate) struct Mapped<'a>(pub(crate) &'a Mapping);

impl Source for Mapped<'_> {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    fn release_before(&self, at: usize) {
        self.0.release_before(at);
    }
}
