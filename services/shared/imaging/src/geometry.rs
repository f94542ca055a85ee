//! Which part of a picture becomes a thumbnail, and how large that is. Pure arithmetic.

use heliograph_types::{ThumbnailMethod, ThumbnailSpec};
use serde::{Deserialize, Serialize};

/// Width and height in pixels, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Size {
    /// All of them.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Turned by a quarter.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self { width: self.height, height: self.width }
    }
}

/// A part of a picture, not bound to whole pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Cut `area` out of the source and make it `size`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    pub(crate) area: Area,
    /// How large the thumbnail is.
    pub size: Size,
    /// False: the pixels of `area` are taken as they are.
    pub(crate) resampled: bool,
}

/// The thumbnail `spec` of a picture that people see as `source` large. Never larger than
/// the source.
pub fn plan(source: Size, spec: &ThumbnailSpec) -> Plan {
    match spec.method {
        ThumbnailMethod::Scale => plan_scale(source, spec),
        ThumbnailMethod::Crop => plan_crop(source, spec),
    }
}

/// The whole picture at this size, whatever its shape.
pub(crate) fn plan_stretch(source: Size, size: Size) -> Plan {
    Plan { size, resampled: true, ..unchanged(source) }
}

/// The whole picture as it is.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn plan_all(source: Size) -> Plan {
    unchanged(source)
}

/// Fits the whole picture into the box.
fn plan_scale(source: Size, spec: &ThumbnailSpec) -> Plan {
    if source.width <= spec.width && source.height <= spec.height {
        return unchanged(source);
    }
    let size = if is_wider(source, spec) {
        Size { width: spec.width, height: in_proportion(source.height, spec.width, source.width) }
    } else {
        Size { width: in_proportion(source.width, spec.height, source.height), height: spec.height }
    };
    plan_stretch(source, size)
}

/// Covers the box with the picture and cuts off evenly what stands over.
fn plan_crop(source: Size, spec: &ThumbnailSpec) -> Plan {
    if source.width <= spec.width || source.height <= spec.height {
        return plan_cut(source, spec);
    }
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let (wanted_width, wanted_height) = (f64::from(spec.width), f64::from(spec.height));
    let area = if is_wider(source, spec) {
        let kept = (wanted_width * height / wanted_height).min(width);
        Area { left: (width - kept) / 2.0, top: 0.0, width: kept, height }
    } else {
        let kept = (wanted_height * width / wanted_width).min(height);
        Area { left: 0.0, top: (height - kept) / 2.0, width, height: kept }
    };
    Plan { area, size: Size { width: spec.width, height: spec.height }, resampled: true }
}

/// To cover the box the picture would have to grow: it is only cut. Whole pixels, so that
/// they stay as they are.
fn plan_cut(source: Size, spec: &ThumbnailSpec) -> Plan {
    let size = Size { width: spec.width.min(source.width), height: spec.height.min(source.height) };
    let area = Area {
        left: f64::from((source.width - size.width) / 2),
        top: f64::from((source.height - size.height) / 2),
        width: f64::from(size.width),
        height: f64::from(size.height),
    };
    Plan { area, size, resampled: false }
}

fn unchanged(source: Size) -> Plan {
    let area = Area { left: 0.0, top: 0.0, width: f64::from(source.width), height: f64::from(source.height) };
    Plan { area, size: source, resampled: false }
}

/// Whether the picture is wider in shape than the box. Multiplied out, to be exact.
fn is_wider(source: Size, spec: &ThumbnailSpec) -> bool {
    u64::from(source.width) * u64::from(spec.height) > u64::from(source.height) * u64::from(spec.width)
}

/// `side * numerator / denominator`, rounded, at least 1. Callers only make sides smaller.
fn in_proportion(side: u32, numerator: u32, denominator: u32) -> u32 {
    let (numerator, denominator) = (u64::from(numerator), u64::from(denominator));
    let rounded = (u64::from(side) * numerator + denominator / 2) / denominator;
    u32::try_from(rounded).unwrap_or(side).clamp(1, side)
}

impl Plan {
    /// The same for a picture whose rows are columns.
    pub(crate) const fn transposed(self) -> Self {
        let Area { left, top, width, height } = self.area;
        let area = Area { left: top, top: left, width: height, height: width };
        Self { area, size: self.size.transposed(), resampled: self.resampled }
    }

    /// The same for color that is half as fine, rounded up: then its last sample reaches over the edge of
    /// what is wanted, across and down. Or its first one, where `far` says so.
    pub(crate) fn halved(self, far: (bool, bool)) -> Self {
        let size = Size { width: self.size.width.div_ceil(2), height: self.size.height.div_ceil(2) };
        let span = |from: f64, length: f64, whole: u32, half: u32, is_far| {
            let longer = length * f64::from(2 * half) / f64::from(whole);
            (if is_far { from - (longer - length) } else { from }, longer)
        };
        let Area { left, top, width, height } = self.area;
        let (left, width) = span(left, width, self.size.width, size.width, far.0);
        let (top, height) = span(top, height, self.size.height, size.height, far.1);
        Self { area: Area { left, top, width, height }, size, resampled: self.resampled }
    }

    /// The same for a picture that was made smaller already, from `full` to `decoded`.
    pub(crate) fn for_decoded(mut self, full: Size, decoded: Size) -> Self {
        if full != decoded {
            let across = f64::from(decoded.width) / f64::from(full.width);
            let down = f64::from(decoded.height) / f64::from(full.height);
            let Area { left, top, width, height } = self.area;
            self.area = Area { left: left * across, top: top * down, width: width * across, height: height * down };
            self.resampled = true;
        }
        self
    }

    /// How large the whole picture would be at the scale of the thumbnail, rounded down: a
    /// decoder that can make it smaller at little cost need not go below this.
    pub(crate) fn least_decoded(&self, full: Size) -> Size {
        let scaled = |side: u32, out: u32, part: f64| in_pixels(f64::from(side) * f64::from(out) / part).clamp(1, side);
        Size {
            width: scaled(full.width, self.size.width, self.area.width),
            height: scaled(full.height, self.size.height, self.area.height),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; sides are positive")]
fn in_pixels(side: f64) -> u32 {
    side as u32
}

#[cfg(test)]
mod tests;
