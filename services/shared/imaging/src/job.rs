//! A file in, everything that is wanted of it out, from one decoded picture.

use bytes::Bytes;
use heliograph_types::{ThumbnailFormat, ThumbnailSpec};
use serde::{Deserialize, Serialize};

use crate::{
    decode::Header,
    describe::{Description, describe},
    encode::Encoding,
    error::RenderError,
    render::render,
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

/// Does a job. All of it is made from one decoded picture.
pub fn work(scratch: &mut Scratch, file: &dyn Source, job: &Job) -> Result<Done, RenderError> {
    let header = Header::read(file.bytes(), &job.rules)?;
    let thumbnails = job.wanted.iter().map(|wanted| render(scratch, file, &header, wanted, job.quality));
    let thumbnails = thumbnails.collect::<Result<_, _>>()?;
    let description = job.describe.then(|| describe(scratch, file, &header)).transpose()?;
    Ok(Done { thumbnails, description })
}
