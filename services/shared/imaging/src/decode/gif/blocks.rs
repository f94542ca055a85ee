//! The blocks of a GIF. Nothing of them is unpacked here.

use std::time::Duration;

use crate::{
    decode::canvas::{Disposal, Part},
    error::RenderError,
    geometry::Size,
};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
const CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;
const PLAIN_TEXT: u8 = 0x01;
const HAS_PALETTE: u8 = 0x80;
const INTERLACED: u8 = 0x40;

/// What the file begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen<'f> {
    /// Either side may be 0.
    pub(super) size: Size,
    palette: Option<&'f [u8]>,
}

/// One picture.
#[derive(Debug, Clone)]
pub(super) struct Image<'f> {
    /// Also what is outside of the canvas.
    pub(super) part: Part,
    pub(super) interlaced: bool,
    /// Three bytes for each color.
    pub(super) palette: &'f [u8],
    pub(super) transparent: Option<u8>,
    pub(super) disposal: Disposal,
    pub(super) lasts: Duration,
    /// Bits of a color.
    pub(super) color_bits: u8,
    /// Its sub-blocks.
    pub(super) data: SubBlocks<'f>,
}

/// Pieces of up to 255 bytes, to one that is empty or to the end of the file.
#[derive(Debug, Clone)]
pub(super) struct SubBlocks<'f> {
    rest: &'f [u8],
    ended: bool,
}

impl<'f> SubBlocks<'f> {
    const fn of(rest: &'f [u8]) -> Self {
        Self { rest, ended: false }
    }

    /// What comes behind them.
    fn skip(mut self) -> &'f [u8] {
        self.by_ref().for_each(drop);
        self.rest
    }
}

impl<'f> Iterator for SubBlocks<'f> {
    type Item = &'f [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let (length, rest) = self.rest.split_first()?;
        let (block, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        self.rest = rest;
        self.ended = block.is_empty();
        (!self.ended).then_some(block)
    }
}

/// Reads block after block.
#[derive(Debug, Clone)]
pub(super) struct Blocks<'f> {
    pub(super) screen: Screen<'f>,
    rest: &'f [u8],
    control: Control,
    /// How often the animation is played; 0 is for ever.
    pub(super) plays: u16,
}

/// What is said of the next picture.
#[derive(Debug, Clone, Copy)]
struct Control {
    transparent: Option<u8>,
    disposal: Disposal,
    lasts: Duration,
}

const NOTHING_SAID: Control = Control { transparent: None, disposal: Disposal::Keep, lasts: Duration::ZERO };

impl<'f> Blocks<'f> {
    /// Reads what the file begins with.
    pub(super) fn read(file: &'f [u8]) -> Result<Self, RenderError> {
        const MAGIC_BYTES: usize = 6;
        let rest = file.get(MAGIC_BYTES..).unwrap_or_default();
        let (&[w0, w1, h0, h1, flags, _, _], rest) =
            rest.split_first_chunk().ok_or_else(|| RenderError::broken("no header"))?;
        let size = Size { width: u16::from_le_bytes([w0, w1]).into(), height: u16::from_le_bytes([h0, h1]).into() };
        let (palette, rest) = split_palette(flags, rest);
        Ok(Self { screen: Screen { size, palette }, rest, control: NOTHING_SAID, plays: 1 })
    }

    fn read_extension(&mut self) {
        let (label, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        let mut blocks = SubBlocks::of(rest);
        match (*label, blocks.next()) {
            (CONTROL, Some(content)) => self.control = control(content).unwrap_or(NOTHING_SAID),
            (APPLICATION, Some(b"NETSCAPE2.0" | b"ANIMEXTS1.0")) => self.read_plays(&mut blocks),
            // Text is drawn by nobody.
            (PLAIN_TEXT, _) => self.control = NOTHING_SAID,
            _ => {}
        }
        self.rest = blocks.skip();
    }

    /// The file has how often it is repeated.
    fn read_plays(&mut self, blocks: &mut SubBlocks<'_>) {
        if let Some(&[1, low, high]) = blocks.next() {
            let repeats = u16::from_le_bytes([low, high]);
            self.plays = if repeats == 0 { 0 } else { repeats.saturating_add(1) };
        }
    }

    fn read_image(&mut self) -> Option<Image<'f>> {
        let (&[l0, l1, t0, t1, w0, w1, h0, h1, flags], rest) = self.rest.split_first_chunk()?;
        let [left, top, width, height] =
            [[l0, l1], [t0, t1], [w0, w1], [h0, h1]].map(|side| u32::from(u16::from_le_bytes(side)));
        let (palette, rest) = split_palette(flags, rest);
        let (color_bits, rest) = rest.split_first()?;
        let data = SubBlocks::of(rest);
        self.rest = data.clone().skip();
        let Control { transparent, disposal, lasts } = std::mem::replace(&mut self.control, NOTHING_SAID);
        Some(Image {
            part: Part { left, top, size: Size { width, height } },
            interlaced: flags & INTERLACED != 0,
            palette: palette.or(self.screen.palette).unwrap_or_default(),
            transparent,
            disposal,
            lasts,
            color_bits: *color_bits,
            data,
        })
    }
}

impl<'f> Iterator for Blocks<'f> {
    type Item = Image<'f>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, rest) = self.rest.split_first()?;
            self.rest = rest;
            match *kind {
                EXTENSION => self.read_extension(),
                IMAGE => return self.read_image(),
                // Some writers end a block twice.
                0 => {}
                // The end, or nothing that anybody could read.
                _ => self.rest = &[],
            }
        }
    }
}

/// Also one that is cut off.
fn split_palette(flags: u8, rest: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if flags & HAS_PALETTE == 0 {
        return (None, rest);
    }
    let bytes = 3 << ((flags & 7) + 1);
    let (palette, rest) = rest.split_at(usize::min(bytes, rest.len()));
    (Some(palette), rest)
}

fn control(content: &[u8]) -> Option<Control> {
    const CENTISECOND_MS: u64 = 10;
    let &[flags, low, high, transparent] = content.first_chunk()?;
    let disposal = match (flags >> 2) & 7 {
        2 => Disposal::Clear,
        // Some writers mean 3 when they say 4, and browsers understand.
        3 | 4 => Disposal::Restore,
        _ => Disposal::Keep,
    };
    let lasts = Duration::from_millis(u64::from(u16::from_le_bytes([low, high])) * CENTISECOND_MS);
    Some(Control { transparent: (flags & 1 != 0).then_some(transparent), disposal, lasts })
}
