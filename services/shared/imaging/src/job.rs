//! A file in, everything that is wanted of it out, from one decoded picture.

use bytes::Bytes;
use heliograph_types::{ThumbnailFormat, ThumbnailSpec};
use serde::{Deserialize, Serialize};

use crate::{
    decode::Header,
    describe::{Description, describe, plan_of_glance},
    encode::{Encoding, jpeg::has_halved_color},
    error::RenderError,
    geometry::Plan,
    render::{Still, animate, plan_of},
    resize::Scratch,
    rules::{Quality, Rules},
    source::Source,
};

/// One thumbnail that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// How large, and how fitted.
    pub spec: ThumbnailSpec,
    /// In what it is encoded.
    pub format: ThumbnailFormat,
}

/// All that is wanted of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its thumbnails.
    pub wanted: Vec<Wanted>,
    /// Whether it is to be described as well.
    pub describe: bool,
    /// What may be read.
    pub rules: Rules,
    /// How good what comes out is.
    pub quality: Quality,
}

/// One thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What `image` is.
    pub encoding: Encoding,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The file; it travels beside this.
    #[serde(skip)]
    pub image: Bytes,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// As they were wanted.
    pub thumbnails: Vec<Made>,
    /// If it was wanted.
    pub description: Option<Description>,
}

/// Does a job. All that stands still is made from one decoded picture.
pub fn work(scratch: &mut Scratch, file: &dyn Source, job: &Job) -> Result<Done, RenderError> {
    let header = Header::read(file.bytes(), &job.rules)?;
    let plans = plans_of_stills(&header, job);
    let mut still = match &*plans {
        [] => None,
        plans => Some(Still::decode(file, &header, plans, wants_halved_color(job))?),
    };
    let mut thumbnails: Vec<(usize, Made)> = Vec::with_capacity(job.wanted.len());
    for index in in_order(&header, job) {
        let wanted = &job.wanted[index];
        let made = match &mut still {
            Some(still) if !moves(&header, wanted) => still.render(scratch, wanted, job.quality)?,
            _ => animate(scratch, file, &header, wanted, job.quality)?,
        };
        thumbnails.push((index, made));
    }
    thumbnails.sort_by_key(|(index, _)| *index);
    let description = if job.describe { still.as_mut().map(|still| describe(scratch, still, &header)) } else { None };
    Ok(Done {
        thumbnails: thumbnails.into_iter().map(|(_, made)| made).collect(),
        description: description.transpose()?,
    })
}

/// Whether it is made of all pictures of an animation.
pub(crate) fn moves(header: &Header, wanted: &Wanted) -> bool {
    wanted.spec.animated && header.is_animated()
}

/// What is made of the one decoded picture.
pub(crate) fn plans_of_stills(header: &Header, job: &Job) -> Vec<Plan> {
    let stills = job.wanted.iter().filter(|wanted| !moves(header, wanted));
    let glance = job.describe.then(|| plan_of_glance(header));
    stills.map(|wanted| plan_of(header, wanted)).chain(glance).collect()
}

/// Whether nothing is made that would store color as finely as brightness.
pub(crate) fn wants_halved_color(job: &Job) -> bool {
    has_halved_color(job.quality.jpeg) && job.wanted.iter().all(|wanted| wanted.format == ThumbnailFormat::Usual)
}

/// The order in which thumbnails are made: those that keep their pixels before those that are
/// resampled, which may change them.
fn in_order(header: &Header, job: &Job) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..job.wanted.len()).collect();
    indices.sort_by_key(|index| plan_of(header, &job.wanted[*index]).resampled);
    indices
}
