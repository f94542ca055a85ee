//! What a JPEG says of itself before its first scan, and for zune-jpeg, what its scans are.

use crate::{
    error::RenderError,
    geometry::Size,
    orientation::{self, Orientation},
};

/// Encoders write ten at most. Each costs a walk over all pixels, however few bytes it has.
pub(super) const MOST_SCANS: usize = 64;
/// Adobe's transform: YCbCr.
pub(super) const ADOBE_YCBCR: u8 = 1;
const ADOBE_NONE: u8 = 0;
const ADOBE_YCCK: u8 = 2;

/// The header of a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) size: Size,
    pub(crate) orientation: Orientation,
    pub(super) colors: Colors,
    /// Where in the file Adobe's transform is.
    pub(super) adobe_transform_at: Option<usize>,
    /// The number of components.
    count: u8,
    pub(super) is_progressive: bool,
    first_scan_at: usize,
}

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    Gray,
    YCbCr,
    Rgb,
    Cmyk { inverted: bool },
    Ycck,
}

/// What was found so far.
#[derive(Default)]
struct Findings<'f> {
    frame: Option<&'f [u8]>,
    is_progressive: bool,
    orientation: Option<Orientation>,
    has_jfif: bool,
    adobe: Option<(usize, u8)>,
}

impl Header {
    /// Reads the segments up to the first scan.
    pub(crate) fn read(file: &[u8]) -> Result<Self, RenderError> {
        let (findings, first_scan_at) = read_segments(file)?;
        let Some([8, frame @ ..]) = findings.frame else {
            return Err(RenderError::broken("no frame of 8 bits"));
        };
        let (&[height_high, height_low, width_high, width_low, count], components) =
            frame.split_first_chunk().ok_or_else(cut_off)?;
        let size = Size {
            width: u16::from_be_bytes([width_high, width_low]).into(),
            height: u16::from_be_bytes([height_high, height_low]).into(),
        };
        if size.pixels() == 0 {
            return Err(RenderError::broken("no pixels"));
        }
        if components.len() != usize::from(count) * 3 {
            return Err(cut_off());
        }
        Ok(Self {
            size,
            orientation: findings.orientation.unwrap_or_default(),
            colors: colors(components, &findings)?,
            adobe_transform_at: findings.adobe.map(|(at, _)| at),
            count,
            is_progressive: findings.is_progressive,
            first_scan_at,
        })
    }

    /// Refuses scans that zune-jpeg cannot read, or that would keep it busy.
    pub(super) fn check_scans_for_zune(&self, file: &[u8]) -> Result<(), RenderError> {
        const COMPONENTS_AT: usize = 4;
        let scans = file.get(self.first_scan_at..).unwrap_or_default();
        // zune-jpeg loses the later scans of these, and would show a green picture.
        if !self.is_progressive && scans.get(COMPONENTS_AT).is_some_and(|in_first| *in_first < self.count) {
            return Err(RenderError::broken("a scan per color component is not supported"));
        }
        if count_scans(scans) > MOST_SCANS {
            return Err(RenderError::broken("too many scans"));
        }
        Ok(())
    }
}

fn cut_off() -> RenderError {
    RenderError::broken("the header is cut off")
}

/// Walks over the segments; answers also where the first start of a scan is.
fn read_segments(file: &[u8]) -> Result<(Findings<'_>, usize), RenderError> {
    let mut findings = Findings::default();
    let mut at = 2;
    loop {
        let marker_at = find_marker(file, at).ok_or_else(cut_off)?;
        let marker = file[marker_at];
        at = marker_at + 1;
        match marker {
            // Markers without content.
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return Err(RenderError::broken("it ends before the picture")),
            0xda => return Ok((findings, marker_at - 1)),
            _ => {}
        }
        let content = segment(file, at).ok_or_else(cut_off)?;
        findings.take(marker, at + 2, content)?;
        at += 2 + content.len();
    }
}

/// The position of the next marker's second byte.
fn find_marker(file: &[u8], from: usize) -> Option<usize> {
    let prefix = from + file.get(from..)?.iter().position(|byte| *byte == 0xff)?;
    let marker = prefix + file[prefix..].iter().position(|byte| *byte != 0xff)?;
    if file[marker] == 0 { find_marker_after_stuffing(file, marker) } else { Some(marker) }
}

/// Some files have stuffed bytes between segments; a loop, as there may be many.
fn find_marker_after_stuffing(file: &[u8], from: usize) -> Option<usize> {
    let pair = file.get(from..)?.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some(from + pair + 1)
}

/// The content of the segment whose length is at `at`.
fn segment(file: &[u8], at: usize) -> Option<&[u8]> {
    let length = file.get(at..at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    file.get(at + 2..at + length)
}

impl<'f> Findings<'f> {
    fn take(&mut self, marker: u8, at: usize, content: &'f [u8]) -> Result<(), RenderError> {
        match marker {
            0xc0..=0xc2 if self.frame.is_some() => return Err(RenderError::broken("two frames")),
            0xc0..=0xc2 => {
                self.frame = Some(content);
                self.is_progressive = marker == 0xc2;
            }
            // Lossless, hierarchical, arithmetic coding; 0xc4, 0xc8 and 0xcc are no frames.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(RenderError::broken("a kind of JPEG that nobody writes"));
            }
            0xe0 => self.has_jfif |= content.starts_with(b"JFIF\0"),
            0xe1 => {
                let exif = content.strip_prefix(b"Exif\0\0").and_then(orientation::find_in_exif);
                self.orientation = self.orientation.or(exif);
            }
            0xee => {
                const TRANSFORM_AT: usize = 11;
                if let (true, Some(transform)) = (content.starts_with(b"Adobe"), content.get(TRANSFORM_AT)) {
                    self.adobe = Some((at + TRANSFORM_AT, *transform));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// As libjpeg decides it.
fn colors(components: &[u8], findings: &Findings<'_>) -> Result<Colors, RenderError> {
    let transform = findings.adobe.map(|(_, transform)| transform);
    let ids: Vec<u8> = components.iter().step_by(3).copied().collect();
    Ok(match (ids.as_slice(), transform) {
        ([_], _) => Colors::Gray,
        (b"RGB", _) => Colors::Rgb,
        ([_, _, _], Some(ADOBE_NONE)) if !findings.has_jfif => Colors::Rgb,
        ([_, _, _], _) => Colors::YCbCr,
        ([_, _, _, _], Some(ADOBE_YCCK)) => Colors::Ycck,
        ([_, _, _, _], transform) => Colors::Cmyk { inverted: transform.is_some() },
        _ => return Err(RenderError::broken("an odd number of color components")),
    })
}

/// At least the number of scans that any reader can find: their marker cannot be part of
/// coded data.
fn count_scans(scans: &[u8]) -> usize {
    let pairs = scans.iter().zip(scans.iter().skip(1));
    pairs.filter(|(prefix, marker)| **prefix == 0xff && **marker == 0xda).count()
}
