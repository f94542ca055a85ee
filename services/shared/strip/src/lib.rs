//! Takes metadata out of pictures while they pass: where and when a photograph was taken, by
//! whom and with what.
//!
//! Lossless: no pixel is decoded, colour profiles and the way a picture is to be turned stay.
//! Streaming: what is held back is at most one segment of a picture, 64 KiB. What a picture
//! needs is known by name and stays; all else goes, known or not: comments, thumbnails, edit
//! histories, and what is appended after the picture's end, such as the film of a motion photo
//! or the second picture of a stereo camera.
//!
//! A file whose structure breaks is passed on as it is from there: it may be no picture at all, and
//! what a user sent is not for us to destroy. [`Report::is_broken`] tells.
//!
//! Performs no I/O.

mod exif;
mod jpeg;
mod kind;
mod png;
mod report;
mod stripper;
mod walk;
mod webp;

pub use kind::Kind;
pub use report::Report;
pub use stripper::Stripper;
