//! A decoded picture, and what the steps between decoder and encoder do with it.

use crate::geometry::Size;

/// What the samples of a pixel are, 8 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    YCbCr,
    /// Ink. `inverted`: 255 is no ink, as Adobe writes it.
    Cmyk {
        inverted: bool,
    },
    /// Ink whose first three samples are coded as YCbCr; always inverted.
    Ycck,
}

impl Layout {
    pub(crate) const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb | Self::YCbCr => 3,
            Self::Rgba | Self::Cmyk { .. } | Self::Ycck => 4,
        }
    }

    pub(crate) const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Pixels, row by row without gaps.
///
/// # Invariants
///
/// `samples` has exactly the length that `size` and `layout` ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) size: Size,
    pub(crate) layout: Layout,
    pub(crate) samples: Vec<u8>,
}

impl Picture {
    /// Ink becomes light: `Cmyk` and `Ycck` become `Rgb`, everything else stays.
    pub(crate) fn into_light(self) -> Self {
        let to_light: fn([u8; 4]) -> [u8; 3] = match self.layout {
            Layout::Cmyk { inverted: true } => |[c, m, y, k]| [c, m, y].map(|absent| multiply(absent, k)),
            Layout::Cmyk { inverted: false } => |[c, m, y, k]| [c, m, y].map(|ink| multiply(255 - ink, 255 - k)),
            Layout::Ycck => |[y, cb, cr, k]| ycbcr_to_rgb([y, cb, cr]).map(|ink| multiply(255 - ink, k)),
            _ => return self,
        };
        let samples = self.samples.as_chunks().0.iter().flat_map(|pixel| to_light(*pixel)).collect();
        Self { size: self.size, layout: Layout::Rgb, samples }
    }

    /// The same without alpha, if nothing is transparent. Many pictures have alpha and do not use it.
    pub(crate) fn without_idle_alpha(&self) -> Option<Self> {
        let samples = &self.samples;
        let (layout, samples) = match self.layout {
            Layout::GrayAlpha if samples.as_chunks().0.iter().all(|[_, alpha]| *alpha == u8::MAX) => {
                (Layout::Gray, samples.as_chunks().0.iter().map(|[gray, _]| *gray).collect())
            }
            Layout::Rgba if samples.as_chunks().0.iter().all(|[_, _, _, alpha]| *alpha == u8::MAX) => {
                (Layout::Rgb, samples.as_chunks().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect())
            }
            _ => return None,
        };
        Some(Self { size: self.size, layout, samples })
    }

    /// As a profile measures it: light as red, green and blue, ink by how much of it there is.
    pub(crate) fn into_measured(mut self) -> Self {
        match self.layout {
            Layout::YCbCr => {
                self.samples.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = ycbcr_to_rgb(*pixel));
                self.layout = Layout::Rgb;
            }
            Layout::Cmyk { inverted: true } => self.samples.iter_mut().for_each(|absent| *absent = 255 - *absent),
            Layout::Ycck => {
                for pixel in self.samples.as_chunks_mut().0 {
                    let [y, cb, cr, k] = *pixel;
                    let [c, m, y] = ycbcr_to_rgb([y, cb, cr]);
                    *pixel = [c, m, y, 255 - k];
                }
            }
            Layout::Cmyk { inverted: false } | Layout::Gray | Layout::GrayAlpha | Layout::Rgb | Layout::Rgba => {}
        }
        if matches!(self.layout, Layout::Cmyk { .. } | Layout::Ycck) {
            self.layout = Layout::Cmyk { inverted: false };
        }
        self
    }

    /// The pixels as they look on white paper: red, green, blue, and nothing transparent.
    pub(crate) fn on_white(self) -> Vec<[u8; 4]> {
        let opaque = |[red, green, blue]: [u8; 3]| [red, green, blue, u8::MAX];
        let veiled = |light: [u8; 3], alpha| opaque(light.map(|light| multiply(light, alpha) + (u8::MAX - alpha)));
        let samples = &self.samples;
        match self.layout {
            Layout::Gray => samples.iter().map(|gray| opaque([*gray; 3])).collect(),
            Layout::GrayAlpha => samples.as_chunks().0.iter().map(|[gray, alpha]| veiled([*gray; 3], *alpha)).collect(),
            Layout::Rgb => samples.as_chunks().0.iter().map(|rgb| opaque(*rgb)).collect(),
            Layout::Rgba => samples.as_chunks().0.iter().map(|[r, g, b, alpha]| veiled([*r, *g, *b], *alpha)).collect(),
            Layout::YCbCr => samples.as_chunks().0.iter().map(|ycbcr| opaque(ycbcr_to_rgb(*ycbcr))).collect(),
            Layout::Cmyk { .. } | Layout::Ycck => self.into_light().on_white(),
        }
    }
}

/// The product of two parts of 255, rounded.
fn multiply(a: u8, b: u8) -> u8 {
    let product = (u32::from(a) * u32::from(b) + 127) / 255;
    u8::try_from(product).unwrap_or(u8::MAX)
}

/// JFIF's conversion, in 16-bit fixed point.
pub(crate) fn ycbcr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + 91_881 * cr;
    let green = y - 22_554 * cb - 46_802 * cr;
    let blue = y + 116_130 * cb;
    [red, green, blue].map(|sample| u8::try_from(((sample + 32_768) >> 16).clamp(0, 255)).unwrap_or(u8::MAX))
}
