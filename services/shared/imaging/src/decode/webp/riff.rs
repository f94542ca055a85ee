//! The chunks of a WebP file.

use crate::{
    error::RenderError,
    geometry::Size,
    orientation::{Orientation, find_in_exif},
};

/// `RIFF`, a length, `WEBP`.
const FILE_HEADER: usize = 12;
/// A name and a length.
const CHUNK_HEADER: usize = 8;
/// Of `VP8X`.
const IS_ANIMATED: u8 = 0x02;
const HAS_ALPHA: u8 = 0x10;
/// What some put before EXIF, as in JPEG.
const EXIF_MARK: &[u8] = b"Exif\0\0";
/// What the length in the header of a file does not count.
const UNCOUNTED: u64 = 8;

pub(super) fn is_webp(file: &[u8]) -> bool {
    file.starts_with(b"RIFF") && file.get(8..FILE_HEADER) == Some(b"WEBP")
}

/// What the chunks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Structure<'f> {
    pub(super) size: Size,
    pub(super) coding: Coding,
    pub(super) orientation: Orientation,
    pub(super) icc: Option<&'f [u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Lossy { has_alpha: bool },
    Lossless,
    Animated(Animation),
}

/// Pictures that are there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Animation {
    pub(super) frames: u32,
    pub(super) duration_ms: u64,
    /// 0 is for ever.
    pub(super) plays: u16,
    /// Where the first one ends.
    pub(super) first_end: usize,
    /// Where the last one ends.
    pub(super) end: usize,
    /// Whether the file is as long as it says.
    pub(super) is_complete: bool,
}

struct Chunk<'f> {
    name: [u8; 4],
    /// As much of it as is there.
    content: &'f [u8],
    is_whole: bool,
    /// Where the next one begins.
    end: usize,
}

/// The chunks, the last one as far as it goes.
fn chunks(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = FILE_HEADER;
    std::iter::from_fn(move || {
        let (header, rest) = file.get(at..)?.split_first_chunk::<CHUNK_HEADER>()?;
        let [n0, n1, n2, n3, l0, l1, l2, l3] = *header;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
        let is_whole = length <= rest.len();
        // Chunks of an odd length are followed by a byte that means nothing.
        at = at.saturating_add(CHUNK_HEADER).saturating_add(length).saturating_add(length % 2);
        let content = &rest[..length.min(rest.len())];
        Some(Chunk { name: [n0, n1, n2, n3], content, is_whole, end: at.min(file.len()) })
    })
}

impl<'f> Structure<'f> {
    pub(super) fn read(file: &'f [u8]) -> Result<Self, RenderError> {
        let no_header = || RenderError::broken("no header");
        let first = chunks(file).next().ok_or_else(no_header)?;
        let (size, coding) = match &first.name {
            b"VP8X" => read_extended(file, first.content),
            b"VP8 " => size_of_lossy(first.content).map(|size| (size, Coding::Lossy { has_alpha: false })),
            b"VP8L" => size_of_lossless(first.content).map(|size| (size, Coding::Lossless)),
            _ => None,
        }
        .ok_or_else(no_header)?;
        let find = |name| chunks(file).find(|chunk| chunk.name == name && chunk.is_whole).map(|chunk| chunk.content);
        let is_extended = first.name == *b"VP8X";
        let exif = if is_extended { find(*b"EXIF") } else { None };
        let orientation = exif.and_then(|exif| find_in_exif(exif.strip_prefix(EXIF_MARK).unwrap_or(exif)));
        let icc = if is_extended { find(*b"ICCP") } else { None };
        Ok(Self { size, coding, orientation: orientation.unwrap_or_default(), icc })
    }
}

fn read_extended(file: &[u8], content: &[u8]) -> Option<(Size, Coding)> {
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = *content.first_chunk::<10>()?;
    let size = Size { width: from_24_bits([w0, w1, w2]) + 1, height: from_24_bits([h0, h1, h2]) + 1 };
    let coding = if flags & IS_ANIMATED != 0 {
        Coding::Animated(read_animation(file)?)
    } else {
        match chunks(file).find(|chunk| [*b"VP8 ", *b"VP8L"].contains(&chunk.name))?.name {
            [_, _, _, b'L'] => Coding::Lossless,
            _ => Coding::Lossy { has_alpha: flags & HAS_ALPHA != 0 },
        }
    };
    Some((size, coding))
}

/// Counts the pictures of an animation. `None` if there is not even one.
fn read_animation(file: &[u8]) -> Option<Animation> {
    /// Where it is put, how large it is, how long it is shown, how it is put there.
    const FRAME_HEADER: usize = 16;
    let declared = file.get(4..8).and_then(<[u8]>::first_chunk::<4>).map(|length| u32::from_le_bytes(*length));
    let is_complete = declared.is_some_and(|length| u64::from(length) + UNCOUNTED <= file.len() as u64);
    let mut animation = Animation { is_complete, ..Animation::default() };
    for chunk in chunks(file).filter(|chunk| chunk.is_whole) {
        match (&chunk.name, chunk.content) {
            (b"ANIM", [_, _, _, _, l0, l1, ..]) => animation.plays = u16::from_le_bytes([*l0, *l1]),
            (b"ANMF", content) => {
                let header = content.first_chunk::<FRAME_HEADER>()?;
                animation.frames = animation.frames.saturating_add(1);
                animation.duration_ms += u64::from(from_24_bits([header[12], header[13], header[14]]));
                animation.end = chunk.end;
                if animation.frames == 1 {
                    animation.first_end = chunk.end;
                }
            }
            _ => {}
        }
    }
    (animation.frames > 0).then_some(animation)
}

/// A key frame: three bytes, a mark, and twice fourteen bits with two that ask to be enlarged.
fn size_of_lossy(content: &[u8]) -> Option<Size> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = *content.first_chunk::<10>()? else { return None };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some(Size { width: side(w0, w1), height: side(h0, h1) })
}

/// A mark, and twice fourteen bits, less one.
fn size_of_lossless(content: &[u8]) -> Option<Size> {
    let [0x2f, b0, b1, b2, b3] = *content.first_chunk::<5>()? else { return None };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    Some(Size { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 })
}

fn from_24_bits([low, middle, high]: [u8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

/// The file up to `end`, as if it had never been longer.
pub(super) fn up_to(file: &[u8], end: usize) -> Vec<u8> {
    let mut whole = file.get(..end).unwrap_or(file).to_vec();
    let counted = u32::try_from((whole.len() as u64).saturating_sub(UNCOUNTED)).unwrap_or(u32::MAX);
    if let Some(length) = whole.get_mut(4..8) {
        length.copy_from_slice(&counted.to_le_bytes());
    }
    whole
}
