//! Windows' bitmap.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;

use super::{
    Decoded, Format, Header,
    foreign::{self, broken},
};
use crate::{error::RenderError, source::Source};

/// Lengths of the headers that there have been.
const HEADER_BYTES: [u32; 7] = [12, 40, 52, 56, 64, 108, 124];

/// Two letters alone begin many a text as well.
pub(super) fn is_of(file: &[u8]) -> bool {
    const HEADER_AT: usize = 14;
    let header = file.get(HEADER_AT..).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes);
    file.starts_with(b"BM") && header.is_some_and(|length| HEADER_BYTES.contains(&length))
}

pub(super) fn read_header(file: &[u8]) -> Result<Header, RenderError> {
    foreign::header_of(&mut open(file)?, Format::Bmp)
}

/// Memory that it takes at most, in bytes.
pub(super) const fn memory_bytes(header: &Header) -> u64 {
    foreign::memory_bytes(header)
}

pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    foreign::decode(open(file.bytes())?, header)
}

fn open(file: &[u8]) -> Result<BmpDecoder<Cursor<&[u8]>>, RenderError> {
    BmpDecoder::new(Cursor::new(file)).map_err(broken)
}

#[cfg(test)]
mod tests;
