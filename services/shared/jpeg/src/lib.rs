//! Reads of a JPEG only what a thumbnail needs, and writes the thumbnail.
//!
//! Owns: the samples of each component, at 1/8, 1/4, 3/8, 1/2, 3/4 of the full size or in full; and the file
//! that [`Encoder`] makes of such samples.
//! Never: converts colors, turns a picture, or uses unsafe code.
//!
//! A JPEG is coded in blocks of eight by eight coefficients, from coarse to fine. A picture that
//! is to be made smaller needs the coarse ones alone: they are decoded, all others are skipped, several
//! at once. Most of the time that other readers take is saved. Of a progressive file whole scans are skipped.
//!
//! - Baseline, extended sequential and progressive, with Huffman's coding and 8 bits: one, three
//!   or four components in any sampling, together in one scan or apart, with or without restart intervals. What else
//!   there is (arithmetic coding, 12 bits, lossless, hierarchical, DNL) is [`Error::Unsupported`].
//! - The file is read once, front to back, and not kept. Of a sequential one, no more than a row of
//!   MCUs is in memory; of a progressive one, the coefficients that are wanted.
//! - [`Limits`] are held against the header, before anything is decoded.
//! - A file that is cut off or damaged behind its header gives what is there; [`Outcome`] tells.
//! - Vectors of eight, with AVX2 and BMI2 where the processor has them.
//!
//! ```
//! use heliograph_jpeg::{Chroma, Decoder, Limits, Scale};
//!
//! # fn main() -> Result<(), heliograph_jpeg::Error> {
//! # let file = include_bytes!("../tests/golden/420.jpg");
//! let decoder = Decoder::new(&file[..], Limits::default())?;
//! let full = (decoder.header().width, decoder.header().height);
//! let scale = Scale::for_target(full, (20, 14));
//! let (picture, outcome) = decoder.decode_planes(scale, Chroma::Matched)?;
//!
//! assert!(outcome.is_complete);
//! assert_eq!((picture.planes[0].width, picture.planes[0].height), (31, 22));
//! # Ok(())
//! # }
//! ```
#![expect(clippy::inline_always, reason = "what is run with a processor's best instructions must be inlined there")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "bits are cut out of larger numbers everywhere; what comes from files is checked where it is read"
)]

mod bands;
mod bits;
mod block;
mod decoder;
mod encoder;
mod error;
mod exif;
mod frame;
mod header;
mod huffman;
mod idct;
mod input;
mod layout;
mod limits;
mod planes;
mod processor;
mod progressive;
mod restarts;
mod scale;
mod scan;
mod sequential;
mod tables;

pub use self::{
    bands::Band,
    decoder::{Decoder, Outcome},
    encoder::{EncodeError, Encoder, Samples},
    error::{Error, Unsupported},
    exif::find_orientation,
    header::{Color, Header},
    limits::Limits,
    planes::{Plane, Planes},
    scale::{Chroma, Scale},
};
