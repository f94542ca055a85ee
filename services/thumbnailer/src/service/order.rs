//! What can be asked of a stored picture; those who ask alike at once share a flight.

use std::{hash::Hash, sync::Arc};

use heliograph_catalog::thumbnail_key;
use heliograph_proto::{Describe, Description, Remake, Thumbnail};
use heliograph_types::Mxc;

use super::{Outcome, SharedFlight, Stopped, Studio, check_bytes, to_thumbnail};
use crate::{actors::worker::Work, describe::describe, flights::Flights, metrics, render::Wanted};

/// Something to be found or made. Equal ones have the same product.
pub(super) trait Order: Clone + Eq + Hash + Send + Sync + 'static {
    /// What it is called where it is counted.
    const KIND: &'static str;
    /// What the caller gets.
    type Product: Clone + Send + Sync + 'static;

    /// Those under way.
    fn flights(studio: &Studio) -> &Flights<Self, Outcome<Self::Product>>;

    /// Finds what was made before, or has it made.
    fn carry_out(
        &self,
        studio: &Studio,
        flight: &SharedFlight<Self::Product>,
    ) -> impl Future<Output = Result<Self::Product, Stopped>> + Send;
}

/// A thumbnail.
impl Order for (Mxc, Wanted) {
    const KIND: &'static str = "thumbnail";
    type Product = Thumbnail;

    fn flights(studio: &Studio) -> &Flights<Self, Outcome<Thumbnail>> {
        &studio.thumbnails
    }

    async fn carry_out(&self, studio: &Studio, flight: &SharedFlight<Thumbnail>) -> Result<Thumbnail, Stopped> {
        let (mxc, wanted) = self;
        let record = studio.get_record(mxc).await?;
        let key = wanted.stored.map(|form| thumbnail_key(mxc, &form));
        if let Some(key) = &key
            && let Some(thumbnail) = studio.find_stored(key).await?
        {
            return Ok(thumbnail);
        }
        let (make, wanted) = (Arc::clone(&studio.renderer), *wanted);
        let work: Work<_> = Box::new(move |scratch, file| check_bytes(make(scratch, file, &wanted)?));
        let rendered = studio.make(&record, Some(wanted.exact), work, flight).await?;
        metrics::made(rendered.image.len());
        if let Some(key) = key.filter(|_| rendered.for_all) {
            studio.store(&record.mxc, &key, &rendered).await;
        }
        Ok(to_thumbnail(rendered.format, rendered.image)?)
    }
}

/// A thumbnail of what another server has made. What cannot be read is its fault.
impl Order for Remake {
    const KIND: &'static str = "foreign";
    type Product = Thumbnail;

    fn flights(studio: &Studio) -> &Flights<Self, Outcome<Thumbnail>> {
        &studio.foreign
    }

    async fn carry_out(&self, studio: &Studio, flight: &SharedFlight<Thumbnail>) -> Result<Thumbnail, Stopped> {
        let (_place, permit) = studio.admit(flight).await?;
        let (make, wanted) = (Arc::clone(&studio.renderer), Wanted::by(self.spec));
        let work: Work<_> = Box::new(move |scratch, file| check_bytes(make(scratch, file, &wanted)?));
        let rendered = studio.work_on(self.image.clone(), work, flight, permit).await?;
        let rendered = rendered.map_err(|error| error.into_failure(true))?;
        metrics::made(rendered.image.len());
        Ok(to_thumbnail(rendered.format, rendered.image)?)
    }
}

impl Order for Describe {
    const KIND: &'static str = "description";
    type Product = Description;

    fn flights(studio: &Studio) -> &Flights<Self, Outcome<Description>> {
        &studio.descriptions
    }

    async fn carry_out(&self, studio: &Studio, flight: &SharedFlight<Description>) -> Result<Description, Stopped> {
        let record = studio.get_record(&self.mxc).await?;
        let limits = studio.limits;
        let work: Work<_> = Box::new(move |scratch, file| describe(scratch, file, &limits));
        studio.make(&record, None, work, flight).await
    }
}
