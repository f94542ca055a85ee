//! What the container says of a picture.

use std::ops::Range;

use heliograph_jpeg::Plane;
use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};

use super::{
    MOST_CUT,
    boxes::{Fields, boxes},
    items::Item,
};
use crate::{
    decode::{Pixels, ycbcr},
    error::RenderError,
    geometry::Size,
    orientation::Orientation,
    picture::Picture,
};

/// More than any file has; their numbers in `ipma` have fifteen bits.
const MOST: usize = 4096;
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property<'f> {
    Size(Size),
    Depth(Depth),
    Icc(&'f [u8]),
    Meaning(Meaning),
    Aperture(Aperture),
    /// Quarters to the left.
    Turned(u8),
    Mirrored(Mirror),
    IsAlpha,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mirror {
    Across,
    Down,
}

/// Channels without alpha, and bits of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) channels: u8,
    pub(super) bits: u8,
}

/// What numbers mean, by the code points of H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) primaries: u32,
    pub(super) transfer: u32,
    pub(super) matrix: u32,
    pub(super) range: ycbcr::Range,
}

/// Width and height, and how far the middle is moved, as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aperture {
    size: [(i32, i32); 2],
    shift: [(i32, i32); 2],
}

/// What is kept of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    left: u32,
    top: u32,
    pub(super) size: Size,
    /// What it is cut from.
    full: Size,
}

pub(super) fn read_properties(content: &[u8]) -> Vec<Property<'_>> {
    boxes(content)
        .take(MOST)
        .map(|property| read_property(property.name, property.content).unwrap_or(Property::Unknown))
        .collect()
}

fn read_property(name: [u8; 4], content: &[u8]) -> Option<Property<'_>> {
    let mut fields = Fields(content);
    Some(match &name {
        b"ispe" => {
            fields.version()?;
            Property::Size(Size { width: fields.u32()?, height: fields.u32()? })
        }
        b"av1C" => {
            let flags = fields.bytes(3)?[2];
            let bits = match flags >> 5 & 3 {
                0 => 8,
                2 => 10,
                _ => 12,
            };
            Property::Depth(Depth { channels: if flags & 0x10 == 0 { 3 } else { 1 }, bits })
        }
        b"colr" => read_color(fields)?,
        b"clap" => {
            let mut fraction = || Some((fields.i32()?, fields.i32()?));
            Property::Aperture(Aperture { size: [fraction()?, fraction()?], shift: [fraction()?, fraction()?] })
        }
        b"irot" => Property::Turned(fields.u8()? & 3),
        b"imir" => Property::Mirrored(if fields.u8()? & 1 == 0 { Mirror::Down } else { Mirror::Across }),
        b"auxC" => {
            fields.version()?;
            let kind = fields.0.split(|byte| *byte == 0).next()?;
            ALPHA.contains(&kind).then_some(Property::IsAlpha)?
        }
        _ => return None,
    })
}

fn read_color(mut fields: Fields<'_>) -> Option<Property<'_>> {
    Some(match &fields.name()? {
        b"prof" | b"rICC" => Property::Icc(fields.0),
        b"nclx" => {
            let mut code = || fields.u16().map(u32::from);
            let (primaries, transfer, matrix) = (code()?, code()?, code()?);
            let range = if fields.u8()? & 0x80 == 0 { ycbcr::Range::Limited } else { ycbcr::Range::Full };
            Property::Meaning(Meaning { primaries, transfer, matrix, range })
        }
        _ => return None,
    })
}

impl<'m> Item<'m> {
    fn find<T>(&self, choose: impl Fn(&'m Property<'m>) -> Option<T>) -> Option<T> {
        self.properties().find_map(choose)
    }

    /// As it is stored.
    pub(super) fn size(&self) -> Result<Size, RenderError> {
        let size = self.find(|property| if let Property::Size(size) = property { Some(*size) } else { None });
        size.ok_or_else(|| RenderError::broken("a picture without a size"))
    }

    /// As the container says, which the picture itself may contradict.
    pub(super) fn depth(&self) -> Depth {
        let depth =
            |item: &Self| item.find(|property| if let Property::Depth(depth) = property { Some(*depth) } else { None });
        let found = depth(self).or_else(|| depth(&self.first_tile()?));
        found.unwrap_or(Depth { channels: 3, bits: 12 })
    }

    pub(super) fn meaning(&self) -> Option<Meaning> {
        self.find(|property| if let Property::Meaning(meaning) = property { Some(*meaning) } else { None })
    }

    pub(super) fn icc(&self) -> Option<&'m [u8]> {
        self.find(|property| if let Property::Icc(profile) = property { Some(*profile) } else { None })
    }

    /// What is kept of it, unless that is all.
    pub(super) fn crop(&self) -> Result<Option<Crop>, RenderError> {
        let found =
            self.find(|property| if let Property::Aperture(aperture) = property { Some(*aperture) } else { None });
        let (Some(aperture), full) = (found, self.size()?) else { return Ok(None) };
        let crop = aperture.crop(full).ok_or_else(|| RenderError::broken("a cut that does not fit"))?;
        if crop.size.pixels() * u64::from(MOST_CUT) < full.pixels() {
            return Err(RenderError::broken("most of the picture is cut away"));
        }
        Ok((crop.size != full).then_some(crop))
    }

    pub(super) fn orientation(&self) -> Orientation {
        self.properties().fold(Orientation::Upright, |orientation, property| match property {
            Property::Turned(quarters) => (0..*quarters).fold(orientation, |orientation, _| turned_left(orientation)),
            Property::Mirrored(mirror) => mirrored(orientation, *mirror),
            _ => orientation,
        })
    }
}

/// What has been turned already is turned left by a quarter.
const fn turned_left(before: Orientation) -> Orientation {
    match before {
        Orientation::Upright => Orientation::TurnLeft,
        Orientation::TurnLeft => Orientation::UpsideDown,
        Orientation::UpsideDown => Orientation::TurnRight,
        Orientation::TurnRight => Orientation::Upright,
        Orientation::MirroredAcross => Orientation::Transposed,
        Orientation::Transposed => Orientation::MirroredDown,
        Orientation::MirroredDown => Orientation::Transversed,
        Orientation::Transversed => Orientation::MirroredAcross,
    }
}

/// What has been turned already is mirrored.
const fn mirrored(before: Orientation, mirror: Mirror) -> Orientation {
    let across = match before {
        Orientation::Upright => Orientation::MirroredAcross,
        Orientation::MirroredAcross => Orientation::Upright,
        Orientation::UpsideDown => Orientation::MirroredDown,
        Orientation::MirroredDown => Orientation::UpsideDown,
        Orientation::TurnLeft => Orientation::Transversed,
        Orientation::Transversed => Orientation::TurnLeft,
        Orientation::TurnRight => Orientation::Transposed,
        Orientation::Transposed => Orientation::TurnRight,
    };
    match mirror {
        Mirror::Across => across,
        Mirror::Down => turned_left(turned_left(across)),
    }
}

impl Aperture {
    /// Whole pixels; `None` if they are not all in the picture.
    fn crop(&self, full: Size) -> Option<Crop> {
        let [width, height] = self.size.map(divide);
        let [across, down] = self.shift.map(divide);
        let ((left, width), (top, height)) = (kept(full.width, width?, across?)?, kept(full.height, height?, down?)?);
        Some(Crop { left, top, size: Size { width, height }, full })
    }
}

fn divide((above, below): (i32, i32)) -> Option<f64> {
    (below > 0).then(|| f64::from(above) / f64::from(below))
}

/// Where it begins, and how long it is.
fn kept(full: u32, part: f64, shift: f64) -> Option<(u32, u32)> {
    let start = (f64::from(full) - part) / 2.0 + shift;
    let is_inside = part >= 1.0 && start >= 0.0 && start + part <= f64::from(full);
    is_inside.then(|| (whole(start), whole(part)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a side, which it is not larger than")]
fn whole(number: f64) -> u32 {
    number as u32
}

impl Crop {
    fn cut_plane(&self, plane: &Plane) -> Plane {
        let part = |full: u32, have: u32| if have < full { 2 } else { 1 };
        let (across, down) = (part(self.full.width, plane.width), part(self.full.height, plane.height));
        let (left, top) = (self.left / across, self.top / down);
        let width = (self.size.width.div_ceil(across)).min(plane.width - left);
        let height = (self.size.height.div_ceil(down)).min(plane.height - top);
        let samples =
            cut_rows(&plane.samples, plane.width as usize, left as usize..(left + width) as usize, top, height);
        let covered = (f64::from(self.size.width) / f64::from(across), f64::from(self.size.height) / f64::from(down));
        Plane { width, height, covered: (covered.0.min(f64::from(width)), covered.1.min(f64::from(height))), samples }
    }

    pub(super) fn cut(&self, pixels: Pixels) -> Pixels {
        match pixels {
            Pixels::Picture(picture) => {
                let channels = picture.layout.channels();
                let (left, right) = (self.left as usize, (self.left + self.size.width) as usize);
                let columns = left * channels..right * channels;
                let stride = self.full.width as usize * channels;
                let samples = cut_rows(&picture.samples, stride, columns, self.top, self.size.height);
                Pixels::Picture(Picture { size: self.size, layout: picture.layout, samples })
            }
            Pixels::Planes { layout, planes } => {
                let planes = planes.into_iter().map(|plane| self.cut_plane(&plane)).collect();
                Pixels::Planes { layout, planes }
            }
        }
    }
}

/// Some columns of some rows.
fn cut_rows(samples: &[u8], stride: usize, columns: Range<usize>, top: u32, rows: u32) -> Vec<u8> {
    let rows = samples.chunks_exact(stride).skip(top as usize).take(rows as usize);
    rows.flat_map(|row| &row[columns.clone()]).copied().collect()
}

impl Meaning {
    /// What its colors mean, if that is not what is usual. What is brighter than paper is not told apart.
    pub(super) fn profile(&self) -> Option<Vec<u8>> {
        const USUAL: [u32; 3] = [0, 1, 2];
        const BRIGHT: [u32; 2] = [16, 18];
        if USUAL.contains(&self.primaries) || BRIGHT.contains(&self.transfer) {
            return None;
        }
        let primaries = CicpColorPrimaries::try_from(u8::try_from(self.primaries).ok()?).ok()?;
        // All that is made for screens is taken for sRGB, as browsers have it.
        let profile = CicpProfile {
            color_primaries: primaries,
            transfer_characteristics: TransferCharacteristics::Srgb,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        ColorProfile::new_from_cicp(profile).encode().ok()
    }
}
