//! What a file says of itself before its first scan.

use std::io::BufRead;

use crate::{
    error::Error,
    exif,
    frame::{Frame, Process},
    input::Input,
    limits::Limits,
    tables::Tables,
};

const START_OF_IMAGE: u8 = 0xd8;
pub(crate) const END_OF_IMAGE: u8 = 0xd9;
pub(crate) const START_OF_SCAN: u8 = 0xda;
/// As many as there are numbers for them.
const MOST_ICC_PARTS: usize = 255;
const ADOBE_NONE: u8 = 0;
const ADOBE_YCCK: u8 = 2;

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Brightness alone.
    Gray,
    /// Brightness and two differences of color, as JFIF defines them.
    YCbCr,
    /// Red, green, blue.
    Rgb,
    /// Ink.
    Cmyk {
        /// Whether 255 is no ink, as Adobe writes it.
        inverted: bool,
    },
    /// Ink whose first three components are coded as YCbCr; always inverted.
    Ycck,
}

impl Color {
    /// Whether color is apart from brightness in the second and third component.
    pub(crate) const fn has_chroma(self) -> bool {
        matches!(self, Self::YCbCr | Self::Ycck)
    }

    /// How many components there are.
    pub const fn components(self) -> u8 {
        match self {
            Self::Gray => 1,
            Self::YCbCr | Self::Rgb => 3,
            Self::Cmyk { .. } | Self::Ycck => 4,
        }
    }
}

/// What a file says of itself before its first scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Pixels across, as stored: before the picture is turned upright.
    pub width: u32,
    /// Pixels down, as stored.
    pub height: u32,
    /// What the components are.
    pub color: Color,
    /// Whether the file is progressive.
    pub is_progressive: bool,
    /// How EXIF says that the picture must be turned: 1 (as it is) to 8.
    pub orientation: u8,
    /// The color profile, if there is a whole one within the limit.
    pub icc_profile: Option<Vec<u8>>,
    /// Where in the file the first scan begins, with its marker.
    pub first_scan_at: u64,
}

/// All that is known when the first scan begins.
pub(crate) struct Prelude {
    pub(crate) header: Header,
    pub(crate) frame: Frame,
    pub(crate) tables: Tables,
    pub(crate) restart_interval: u32,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    frame: Option<Frame>,
    tables: Tables,
    restart_interval: u32,
    orientation: Option<u8>,
    has_jfif: bool,
    adobe: Option<u8>,
    icc: IccParts,
}

/// The parts of a color profile, by number.
#[derive(Default)]
struct IccParts {
    parts: Vec<(u8, u8, Vec<u8>)>,
    bytes: usize,
}

/// Reads up to the marker of the first scan.
pub(crate) fn read<R: BufRead>(input: &mut Input<R>, limits: &Limits) -> Result<Prelude, Error> {
    if !input.begins_with([0xff, START_OF_IMAGE])? {
        return Err(Error::NotJpeg);
    }
    let mut findings = Findings::default();
    loop {
        match input.next_marker()?.ok_or(Error::CutOff)? {
            // Markers without content.
            0x01 | 0xd0..=0xd8 => {}
            END_OF_IMAGE => return Err(Error::CutOff),
            START_OF_SCAN => return findings.conclude(input.used() - 2),
            marker => findings.take(marker, &input.segment()?, limits)?,
        }
    }
}

/// Takes tables and the restart interval: what may also come between scans.
pub(crate) fn take_tables(
    marker: u8,
    content: &[u8],
    tables: &mut Tables,
    restart_interval: &mut u32,
) -> Result<(), Error> {
    match marker {
        0xc4 => tables.define_huffman(content)?,
        0xdb => tables.define_quantisation(content)?,
        0xdd => {
            let interval = content.first_chunk().ok_or(Error::Malformed("restart interval"))?;
            *restart_interval = u16::from_be_bytes(*interval).into();
        }
        _ => {}
    }
    Ok(())
}

/// Whether a marker is that of a frame.
pub(crate) const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

impl Findings {
    fn take(&mut self, marker: u8, content: &[u8], limits: &Limits) -> Result<(), Error> {
        match marker {
            marker if is_frame(marker) => self.take_frame(marker, content, limits)?,
            0xde => return Err(crate::Unsupported::Hierarchical.into()),
            0xe0 => self.has_jfif |= content.starts_with(b"JFIF\0"),
            0xe1 => {
                let exif = content.strip_prefix(b"Exif\0\0").and_then(exif::find_orientation);
                self.orientation = self.orientation.or(exif);
            }
            0xe2 => self.icc.take(content, limits.icc_bytes),
            0xee if content.starts_with(b"Adobe") => self.adobe = content.get(11).copied().or(self.adobe),
            _ => take_tables(marker, content, &mut self.tables, &mut self.restart_interval)?,
        }
        Ok(())
    }

    fn take_frame(&mut self, marker: u8, content: &[u8], limits: &Limits) -> Result<(), Error> {
        let frame = Frame::read(marker, content)?;
        if self.frame.is_some() {
            return Err(Error::SecondFrame);
        }
        let pixels = u64::from(frame.width) * u64::from(frame.height);
        if pixels > limits.pixels {
            return Err(Error::TooManyPixels { pixels, most: limits.pixels });
        }
        self.frame = Some(frame);
        Ok(())
    }

    fn conclude(self, first_scan_at: u64) -> Result<Prelude, Error> {
        let frame = self.frame.ok_or(Error::NoFrame)?;
        let header = Header {
            width: frame.width,
            height: frame.height,
            color: color(&frame, self.adobe, self.has_jfif),
            is_progressive: frame.process == Process::Progressive,
            orientation: self.orientation.unwrap_or(1),
            icc_profile: self.icc.join(),
            first_scan_at,
        };
        Ok(Prelude { header, frame, tables: self.tables, restart_interval: self.restart_interval })
    }
}

/// As libjpeg decides it. A frame has one, three or four components.
fn color(frame: &Frame, adobe: Option<u8>, has_jfif: bool) -> Color {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match (&*ids, adobe) {
        ([_], _) => Color::Gray,
        ([_, _, _], _) if has_jfif => Color::YCbCr,
        ([_, _, _], Some(ADOBE_NONE)) | (b"RGB", None) => Color::Rgb,
        ([_, _, _, _], Some(ADOBE_YCCK)) => Color::Ycck,
        ([_, _, _, _], transform) => Color::Cmyk { inverted: transform.is_some() },
        _ => Color::YCbCr,
    }
}

impl IccParts {
    fn take(&mut self, content: &[u8], most_bytes: usize) {
        if let Some([number, count, part @ ..]) = content.strip_prefix(b"ICC_PROFILE\0") {
            self.bytes = self.bytes.saturating_add(part.len());
            if self.bytes <= most_bytes && self.parts.len() < MOST_ICC_PARTS {
                self.parts.push((*number, *count, part.to_vec()));
            }
        }
    }

    /// The profile, if each part is there once.
    fn join(mut self) -> Option<Vec<u8>> {
        self.parts.sort_by_key(|(number, _, _)| *number);
        let total = self.parts.len();
        let in_order = (1..)
            .zip(&self.parts)
            .all(|(place, (number, count, _))| usize::from(*number) == place && usize::from(*count) == total);
        (total > 0 && in_order).then(|| self.parts.into_iter().flat_map(|(_, _, part)| part).collect())
    }
}
