//! Windows' icon: a directory of pictures, of which the largest one is taken.

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;

use super::{
    Decoded, Format, Header,
    foreign::{self, broken},
    png,
};
use crate::{error::RenderError, geometry::Size, rules::Rules, source::Source};

const HEAD: [u8; 4] = [0, 0, 1, 0];
const HEAD_BYTES: usize = 6;
const ENTRY_BYTES: usize = 16;
/// Nobody has more; each is looked at.
const MOST_ENTRIES: usize = 256;
/// Of a bitmap that is 256 wide and high, with all that may be around it.
const MOST_BITMAP_BYTES: usize = 1 << 20;

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(&HEAD) && entries(file).next().is_some_and(|entry| matches!(entry[3], 0 | 255) && entry[5] == 0)
}

pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    match largest(file)? {
        Entry::Png(file) => {
            let Header { size, channels, progressive, .. } = png::read_header(file, rules)?;
            Ok(Header { progressive, ..Header::still(Format::Ico, size, channels) })
        }
        Entry::Bitmap(file) => foreign::header_of(&mut open(file)?, Format::Ico),
    }
}

/// Memory that it takes at most, in bytes.
pub(super) fn memory_bytes(header: &Header) -> u64 {
    let bitmap = foreign::memory_bytes(header) + MOST_BITMAP_BYTES as u64;
    bitmap.max(png::memory_bytes(header, header.size, false))
}

pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    match largest(file.bytes())? {
        Entry::Png(file) => png::decode(&file.to_vec(), header, header.size),
        Entry::Bitmap(file) => foreign::decode(open(file)?, header),
    }
}

enum Entry<'f> {
    Png(&'f [u8]),
    /// An icon that has only this.
    Bitmap(Vec<u8>),
}

fn entries(file: &[u8]) -> impl Iterator<Item = &[u8; ENTRY_BYTES]> {
    let count = file.get(HEAD.len()..).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_le_bytes);
    let entries = file.get(HEAD_BYTES..).unwrap_or_default().as_chunks().0;
    entries.iter().take(usize::from(count).min(MOST_ENTRIES))
}

/// The entry with most pixels; of several, the one with most colors.
fn largest(file: &[u8]) -> Result<Entry<'_>, RenderError> {
    // 0 is 256.
    let side = |side: u8| u32::from(side.wrapping_sub(1)) + 1;
    let rank = |entry: &&[u8; ENTRY_BYTES]| {
        (Size { width: side(entry[0]), height: side(entry[1]) }.pixels(), u16::from_le_bytes([entry[6], entry[7]]))
    };
    let entry = entries(file).max_by_key(rank).ok_or_else(|| RenderError::broken("no picture"))?;
    let number = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize;
    let (length, start) = (number(8), number(12));
    let content = file.get(start..).unwrap_or_default();
    let content = content.get(..length).unwrap_or(content);
    if png::is_of(content) {
        return Ok(Entry::Png(content));
    }
    alone(*entry, content).map(Entry::Bitmap)
}

/// An icon that has only this bitmap, and says its size as the bitmap does.
fn alone(mut entry: [u8; ENTRY_BYTES], bitmap: &[u8]) -> Result<Vec<u8>, RenderError> {
    let cut_off = || RenderError::broken("the picture is cut off");
    if bitmap.len() > MOST_BITMAP_BYTES {
        return Err(RenderError::broken("too large a bitmap for an icon"));
    }
    let side = |at: usize| bitmap.get(at..).and_then(<[u8]>::first_chunk).copied().map(i32::from_le_bytes);
    // The mask counts as rows of the bitmap, and comes after the colors.
    let (width, height) = (side(4).ok_or_else(cut_off)?, side(8).ok_or_else(cut_off)? / 2);
    for (place, side) in entry.iter_mut().zip([width, height]) {
        *place = u8::try_from(side).unwrap_or(0);
    }
    let start = u32::try_from(HEAD_BYTES + ENTRY_BYTES).unwrap_or_default();
    let length = u32::try_from(bitmap.len()).unwrap_or_default();
    entry[8..12].copy_from_slice(&length.to_le_bytes());
    entry[12..].copy_from_slice(&start.to_le_bytes());
    Ok([&HEAD, &[1, 0][..], &entry, bitmap].concat())
}

fn open(file: Vec<u8>) -> Result<IcoDecoder<Cursor<Vec<u8>>>, RenderError> {
    IcoDecoder::new(Cursor::new(file)).map_err(broken)
}

#[cfg(test)]
mod tests;
