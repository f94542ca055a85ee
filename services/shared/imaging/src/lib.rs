//! From the file of a picture to its thumbnails, and to what it looks like from afar.
//!
//! The only crate that decodes pictures. Pure: no clock, no store, no thread, no network; every
//! budget is decided from the header, before anything is decoded. What comes out was encoded here
//! and has no metadata. Its caller runs it in a jail.
//!
//! ```text
//! Header::read ── estimate ── work: decode ── resize ── turn ── color ── encode
//! ```

mod animation;
mod color;
mod cost;
mod decode;
mod describe;
mod encode;
mod error;
mod geometry;
mod job;
mod orientation;
mod picture;
mod reduce;
mod render;
mod resize;
mod rules;
mod sample;
mod source;
#[cfg(any(test, feature = "testing"))]
#[expect(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests show what they are")]
pub mod testing;

pub use self::{
    cost::{Cost, estimate},
    decode::{Format, Header},
    describe::Description,
    encode::Encoding,
    error::RenderError,
    geometry::{Plan, Size, plan},
    job::{Done, Job, Made, Wanted, work},
    orientation::Orientation,
    resize::Scratch,
    rules::{Quality, Rules},
    sample::sample_picture,
    source::Source,
};
