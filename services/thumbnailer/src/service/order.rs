//! What can be asked of a stored picture; those who ask alike at once share a flight.

use std::{hash::Hash, sync::Arc};

use heliograph_blobs::Key;
use heliograph_catalog::{PictureFacts, picture_key, thumbnail_key};
use heliograph_imaging::{self as imaging, Done, Header, RenderError};
use heliograph_proto::{Describe, Description, MOST_THUMBNAIL_BYTES, Remake, Thumbnail};
use heliograph_types::{Failure, Mxc, ThumbnailVariant};

use super::{
    Outcome, SharedFlight, Stopped, Studio,
    shelf::to_thumbnail,
    turn::Turn,
    work::{Subject, the_only},
};
use crate::{
    file::PictureFile,
    flights::{Flight, Flights},
    metrics,
    wanted::{Choice, Wanted},
};

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
        studio: &Arc<Studio>,
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

    async fn carry_out(&self, studio: &Arc<Studio>, flight: &SharedFlight<Thumbnail>) -> Result<Thumbnail, Stopped> {
        let (mxc, wanted) = self;
        let record = studio.get_record(mxc).await?;
        let subject = Subject { record, thumbnail: Some(wanted.exact) };
        let Some(variant) = wanted.stored else { return studio.render(&subject, *wanted, flight).await };
        let key = thumbnail_key(mxc, variant);
        if let Some(thumbnail) = studio.find_stored(&key).await? {
            return Ok(thumbnail);
        }
        if studio.config.premade.iter().any(|spec| variant == (*spec).into())
            && let Some(thumbnail) = studio.await_premade(mxc, &key, flight).await?
        {
            return Ok(thumbnail);
        }
        match studio.take_turn(&key, flight, || studio.find_stored(&key)).await? {
            Turn::Found(thumbnail) => Ok(thumbnail),
            Turn::Ours(claim) => claim.hold(studio.render(&subject, *wanted, flight)).await,
        }
    }
}

impl Studio {
    /// Has all made that is made of each new picture, this one among them. `None` if it was not.
    async fn await_premade<P>(
        self: &Arc<Self>,
        mxc: &Mxc,
        key: &Key,
        flight: &Flight<P>,
    ) -> Result<Option<Thumbnail>, Stopped> {
        tokio::select! {
            // What is wrong with the picture, its render will tell.
            seen = self.ask(Describe { mxc: mxc.clone() }) => drop(seen),
            () = flight.abandoned() => return Err(Stopped::Abandoned),
        }
        Ok(self.find_stored(key).await?)
    }

    /// Makes a thumbnail, and stores it under all names that it goes by.
    async fn render(
        &self,
        subject: &Subject,
        wanted: Wanted,
        flight: &SharedFlight<Thumbnail>,
    ) -> Result<Thumbnail, Stopped> {
        let mxc = &subject.record.mxc;
        let opened = self.open(subject, flight).await?;
        let settled = wanted.of(&opened.header);
        let names = [settled.stored, wanted.stored].map(|variant| variant.map(|variant| thumbnail_key(mxc, variant)));
        if settled != wanted
            && let [Some(settled), Some(alias)] = &names
            && let Some(thumbnail) = self.find_stored(settled).await?
        {
            self.store(mxc, &[(alias.clone(), thumbnail.image.clone())]).await;
            return Ok(thumbnail);
        }
        let choice = settled.choose(opened.header.seen_size());
        let made = self.work((subject, &opened), self.to_job(choice), the_only, flight).await?;
        drop(opened);
        metrics::made(made.image.len());
        if choice.for_all {
            let mut names: Vec<_> = names.into_iter().flatten().collect();
            names.dedup();
            let copies: Vec<_> = names.into_iter().map(|key| (key, made.image.clone())).collect();
            self.store(mxc, &copies).await;
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

    async fn carry_out(&self, studio: &Arc<Studio>, flight: &SharedFlight<Thumbnail>) -> Result<Thumbnail, Stopped> {
        let (_place, _permit) = studio.admit(flight).await?;
        let wanted = Wanted::by(&studio.sizes, ThumbnailVariant { spec: self.spec, format: self.format });
        let file = PictureFile::of(&self.image)?;
        let outcome = match studio.look_at(&file, flight).await? {
            Ok(header) => {
                let job = studio.to_job(wanted.of(&header).choose(header.seen_size()));
                studio.work_on(&file, &header, job, flight).await?
            }
            Err(refusal) => Err(refusal),
        };
        let made = outcome.and_then(the_only).map_err(|refusal| refusal.into_failure(true))?;
        metrics::made(made.image.len());
        Ok(to_thumbnail(made.encoding, made.image)?)
    }
}

/// What is seen of a picture; and, from the same look, the thumbnails that are made of each.
impl Order for Describe {
    const KIND: &'static str = "description";
    type Product = Description;

    fn flights(studio: &Studio) -> &Flights<Self, Outcome<Description>> {
        &studio.descriptions
    }

    async fn carry_out(
        &self,
        studio: &Arc<Studio>,
        flight: &SharedFlight<Description>,
    ) -> Result<Description, Stopped> {
        let record = studio.get_record(&self.mxc).await?;
        if let Some(description) = studio.find_description(&self.mxc).await? {
            return Ok(description);
        }
        let subject = Subject { record, thumbnail: None };
        let find = || studio.find_description(&self.mxc);
        match studio.take_turn(&picture_key(&self.mxc), flight, find).await? {
            Turn::Found(description) => Ok(description),
            Turn::Ours(claim) => claim.hold(studio.describe(&subject, flight)).await,
        }
    }
}

impl Studio {
    /// What was seen before.
    async fn find_description(&self, mxc: &Mxc) -> Result<Option<Description>, Failure> {
        let facts = PictureFacts::find(&*self.deps.blobs, mxc).await?;
        Ok(facts.map(|PictureFacts { width, height, duration_ms, blurhash }| Description {
            width,
            height,
            blurhash,
            duration_ms,
        }))
    }

    /// Looks at a picture, and stores what is seen and made.
    async fn describe(&self, subject: &Subject, flight: &SharedFlight<Description>) -> Result<Description, Stopped> {
        let opened = self.open(subject, flight).await?;
        let choices = self.premade_of(&opened.header);
        let job = self.to_description(choices.iter().copied().map(Into::into).collect());
        let check = |done: Done| {
            let nothing = || RenderError::Broken("nothing was seen".to_owned());
            Ok((done.description.ok_or_else(nothing)?, done.thumbnails))
        };
        let (seen, thumbnails) = self.work((subject, &opened), job, check, flight).await?;
        drop(opened);
        let mxc = &subject.record.mxc;
        let made = choices.into_iter().zip(thumbnails).filter(|(_, made)| made.image.len() <= MOST_THUMBNAIL_BYTES);
        let mut made: Vec<_> = made.map(|(choice, made)| (thumbnail_key(mxc, choice.variant), made.image)).collect();
        for (_, image) in &made {
            metrics::made(image.len());
        }
        let imaging::Description { width, height, duration_ms, blurhash } = seen;
        let facts = PictureFacts { width, height, duration_ms, blurhash: blurhash.clone() };
        let json = facts.to_json().map_err(|error| Failure::internal(error.to_string()))?;
        // Last: whoever sees it takes the thumbnails for made.
        made.push((picture_key(mxc), json.into()));
        self.store(mxc, &made).await;
        Ok(Description { width, height, blurhash, duration_ms })
    }

    /// Which thumbnails are made of each new picture with this header.
    fn premade_of(&self, header: &Header) -> Vec<Choice> {
        let wanted = self.config.premade.iter().map(|spec| Wanted::by(&self.sizes, (*spec).into()));
        // One that shall move is the still one of what does not.
        let wanted = wanted.filter(|wanted| wanted.of(header) == *wanted);
        wanted.map(|wanted| wanted.choose(header.seen_size())).filter(|choice| choice.for_all).collect()
    }
}
