//! What can be asked of a stored picture; those who ask alike at once share a flight.

use std::hash::Hash;

use heliograph_catalog::thumbnail_key;
use heliograph_imaging::{self as imaging, Done, Header, Job, RenderError};
use heliograph_proto::{Describe, Description, Remake, Thumbnail};
use heliograph_types::Mxc;

use super::{Outcome, SharedFlight, Stopped, Studio, the_only, to_thumbnail};
use crate::{flights::Flights, metrics, wanted::Wanted};

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
        let to_job = |header: &Header| studio.to_job(wanted.choose(header.seen_size()).0);
        let check = |header: &Header, done| Ok((the_only(done)?, wanted.choose(header.seen_size()).1));
        let (made, for_all) = studio.make(&record, Some(wanted.exact), to_job, check, flight).await?;
        metrics::made(made.image.len());
        if let Some(key) = key.filter(|_| for_all) {
            studio.store(&record.mxc, &key, &made.image).await;
        }
        Ok(to_thumbnail(made.encoding, made.image)?)
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
        let (_place, _permit) = studio.admit(flight).await?;
        let wanted = Wanted::by(self.spec);
        let to_job = |header: &Header| studio.to_job(wanted.choose(header.seen_size()).0);
        let outcome = studio.work_on(&self.image, to_job, flight).await?;
        let made = outcome.and_then(|(_, done)| the_only(done)).map_err(|refusal| refusal.into_failure(true))?;
        metrics::made(made.image.len());
        Ok(to_thumbnail(made.encoding, made.image)?)
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
        let to_job = |_: &Header| Job {
            wanted: Vec::new(),
            describe: true,
            rules: studio.rules,
            quality: studio.config.quality(),
        };
        let check = |_: &Header, done: Done| {
            let nothing = || RenderError::Broken("nothing was seen".to_owned());
            Ok(done.description.ok_or_else(nothing)?)
        };
        let imaging::Description { width, height, blurhash, .. } =
            studio.make(&record, None, to_job, check, flight).await?;
        Ok(Description { width, height, blurhash })
    }
}
