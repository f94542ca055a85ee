//! TIFF, its first page.

use std::io::Cursor;

use image::codecs::tiff::TiffDecoder;

use super::{
    Decoded, Format, Header,
    foreign::{self, broken},
};
use crate::{error::RenderError, source::Source};

pub(super) fn is_of(file: &[u8]) -> bool {
    [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"].iter().any(|magic| file.starts_with(*magic))
}

pub(super) fn read_header(file: &[u8]) -> Result<Header, RenderError> {
    foreign::header_of(&mut open(file)?, Format::Tiff)
}

/// Memory that it takes at most, in bytes.
pub(super) const fn memory_bytes(header: &Header) -> u64 {
    foreign::memory_bytes(header)
}

pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    foreign::decode(open(file.bytes())?, header)
}

fn open(file: &[u8]) -> Result<TiffDecoder<Cursor<&[u8]>>, RenderError> {
    TiffDecoder::new(Cursor::new(file)).map_err(broken)
}

#[cfg(test)]
mod tests;
