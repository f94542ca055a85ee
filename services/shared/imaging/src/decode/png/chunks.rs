//! The chunks of a PNG, and what those say that are not pixels.

use std::time::Duration;

use crate::{
    error::RenderError,
    geometry::Size,
    orientation::{self, Orientation},
};

pub(super) const MAGIC: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Kind and length; what the checksum takes comes after the content.
const HEAD_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
/// What a profile may have, compressed.
const MOST_PROFILE_BYTES: usize = 1 << 20;
const MOST_PALETTE_BYTES: usize = 768;
const MOST_TRANSPARENCY_BYTES: usize = 256;

/// One chunk; its content may be cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'f> {
    pub(super) kind: [u8; 4],
    pub(super) content: &'f [u8],
}

/// All chunks to the end, or to what is none.
#[derive(Debug, Clone)]
pub(super) struct Chunks<'f>(&'f [u8]);

impl<'f> Chunks<'f> {
    pub(super) fn of(file: &'f [u8]) -> Self {
        Self(file.strip_prefix(&MAGIC).unwrap_or_default())
    }
}

impl<'f> Iterator for Chunks<'f> {
    type Item = Chunk<'f>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[l0, l1, l2, l3, k0, k1, k2, k3], rest) = self.0.split_first_chunk::<HEAD_BYTES>()?;
        let (kind, length) = ([k0, k1, k2, k3], u32::from_be_bytes([l0, l1, l2, l3]) as usize);
        if kind == *b"IEND" || !kind.iter().all(u8::is_ascii_alphabetic) {
            self.0 = &[];
            return None;
        }
        let (content, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest.get(CHECKSUM_BYTES..).unwrap_or_default();
        Some(Chunk { kind, content })
    }
}

/// What is needed to read pixels, and what they are.
#[derive(Debug, Clone)]
pub(super) struct Outline<'f> {
    pub(super) size: Size,
    /// The content of the first chunk.
    pub(super) header: [u8; 13],
    pub(super) palette: &'f [u8],
    pub(super) transparency: &'f [u8],
    /// As it is in its chunk, compressed.
    pub(super) profile: &'f [u8],
    pub(super) orientation: Orientation,
    /// Plays and pictures that an animation says it has.
    pub(super) animation: Option<(u32, u32)>,
}

impl<'f> Outline<'f> {
    /// Walks over all chunks; none is read but for its head, unless it is needed.
    pub(super) fn read(file: &'f [u8]) -> Result<Self, RenderError> {
        let mut chunks = Chunks::of(file);
        let mut outline = match chunks.next() {
            Some(Chunk { kind: [b'I', b'H', b'D', b'R'], content }) => Self::begin(content)?,
            _ => return Err(RenderError::broken("no header")),
        };
        let (mut has_pixels, mut exif) = (false, None);
        for Chunk { kind, content } in chunks {
            match &kind {
                b"IDAT" => has_pixels = true,
                b"eXIf" => exif = exif.or_else(|| orientation::find_in_exif(content)),
                _ if has_pixels => {}
                b"PLTE" if content.len() <= MOST_PALETTE_BYTES => outline.palette = content,
                b"tRNS" if content.len() <= MOST_TRANSPARENCY_BYTES => outline.transparency = content,
                b"iCCP" if content.len() <= MOST_PROFILE_BYTES => outline.profile = content,
                b"acTL" => outline.animation = animation(content),
                _ => {}
            }
        }
        if !has_pixels {
            return Err(RenderError::broken("no pixels"));
        }
        outline.orientation = exif.unwrap_or_default();
        Ok(outline)
    }

    fn begin(content: &[u8]) -> Result<Self, RenderError> {
        let header: [u8; 13] = content.try_into().map_err(|_| RenderError::broken("no header"))?;
        let [w0, w1, w2, w3, h0, h1, h2, h3, ..] = header;
        let size = Size { width: u32::from_be_bytes([w0, w1, w2, w3]), height: u32::from_be_bytes([h0, h1, h2, h3]) };
        Ok(Self {
            size,
            header,
            palette: &[],
            transparency: &[],
            profile: &[],
            orientation: Orientation::Upright,
            animation: None,
        })
    }

    /// Whether rows come in seven passes.
    pub(super) const fn is_interlaced(&self) -> bool {
        self.header[12] != 0
    }

    /// Of a pixel, once palettes are gone.
    pub(super) const fn channels(&self) -> u8 {
        const GRAY: u8 = 0;
        const COLOR: u8 = 2;
        const PALETTE: u8 = 3;
        const GRAY_ALPHA: u8 = 4;
        let veiled = !self.transparency.is_empty();
        match self.header[9] {
            GRAY if veiled => 2,
            GRAY => 1,
            COLOR | PALETTE if !veiled => 3,
            GRAY_ALPHA => 2,
            _ => 4,
        }
    }
}

/// Plays and pictures.
fn animation(content: &[u8]) -> Option<(u32, u32)> {
    let (pictures, rest) = content.split_first_chunk()?;
    let plays = rest.first_chunk()?;
    Some((u32::from_be_bytes(*plays), u32::from_be_bytes(*pictures)))
}

/// Where a picture of an animation goes, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Control {
    pub(super) size: Size,
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) lasts: Duration,
    pub(super) dispose: u8,
    pub(super) blend: u8,
}

impl Control {
    /// What does not fit into `canvas` is no picture of this animation.
    pub(super) fn read(content: &[u8], canvas: Size) -> Option<Self> {
        const SEQUENCE_BYTES: usize = 4;
        let (numbers, rest) = content.get(SEQUENCE_BYTES..)?.split_first_chunk::<16>()?;
        let [width, height, left, top] = [0, 4, 8, 12]
            .map(|at| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]));
        let &[n0, n1, d0, d1, dispose, blend] = rest.first_chunk()?;
        let fits =
            |at: u32, length: u32, within: u32| length > 0 && at.checked_add(length).is_some_and(|end| end <= within);
        let fits = fits(left, width, canvas.width) && fits(top, height, canvas.height) && dispose <= 2 && blend <= 1;
        let lasts = lasts(u16::from_be_bytes([n0, n1]), u16::from_be_bytes([d0, d1]));
        fits.then_some(Self { size: Size { width, height }, left, top, lasts, dispose, blend })
    }
}

/// `numerator / denominator` seconds; a denominator of 0 is 100.
fn lasts(numerator: u16, denominator: u16) -> Duration {
    let denominator = if denominator == 0 { 100 } else { denominator };
    Duration::from_millis(u64::from(numerator) * 1000 / u64::from(denominator))
}
