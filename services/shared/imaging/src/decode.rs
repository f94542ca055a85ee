//! From a file to pixels. Looks at the header first and refuses there what is too large:
//! nothing is allocated for the word of a stranger.

mod avif;
mod bmp;
mod canvas;
mod foreign;
mod gif;
#[cfg(test)]
mod golden;
mod ico;
mod jpeg;
mod jxl;
mod png;
mod svg;
mod tiff;
mod webp;
mod ycbcr;

use heliograph_jpeg::Plane;
use serde::{Deserialize, Serialize};

use crate::{
    animation::Frames,
    color::MOST_PROFILE_BYTES,
    error::RenderError,
    geometry::Size,
    orientation::Orientation,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

/// A format that we read, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// JPEG, baseline and progressive.
    Jpeg,
    /// PNG and APNG.
    Png,
    /// GIF.
    Gif,
    /// WebP, lossy and lossless.
    WebP,
    /// AVIF.
    Avif,
    /// JPEG XL, bare and in its container.
    Jxl,
    /// Windows' bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// Windows' icon.
    Ico,
    /// SVG.
    Svg,
}

impl Format {
    /// All that we know.
    pub const ALL: [Self; 10] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::WebP,
        Self::Avif,
        Self::Jxl,
        Self::Bmp,
        Self::Tiff,
        Self::Ico,
        Self::Svg,
    ];

    /// The format of a file; what anybody claims about it does not count.
    pub fn sniff(file: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.is_of(file))
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
            Self::Jxl => "image/jxl",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Ico => "image/vnd.microsoft.icon",
            Self::Svg => "image/svg+xml",
        }
    }

    /// Whether a file begins as one of this format.
    fn is_of(self, file: &[u8]) -> bool {
        match self {
            Self::Jpeg => jpeg::is_of(file),
            Self::Png => png::is_of(file),
            Self::Gif => gif::is_of(file),
            Self::WebP => webp::is_of(file),
            Self::Avif => avif::is_of(file),
            Self::Jxl => jxl::is_of(file),
            Self::Bmp => bmp::is_of(file),
            Self::Tiff => tiff::is_of(file),
            Self::Ico => ico::is_of(file),
            Self::Svg => svg::is_of(file),
        }
    }
}

/// What the header of a file says. Enough to decide what its picture will cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What the file is.
    pub format: Format,
    /// As it is stored, before it is turned upright.
    pub size: Size,
    /// How it must be turned.
    pub orientation: Orientation,
    /// Pictures of the animation that are within the rules; 1 for one that stands still.
    pub frames: u32,
    /// How long the animation takes, in milliseconds; 0 for one that stands still.
    pub duration_ms: u64,
    /// Channels of a pixel, as it is decoded.
    pub channels: u8,
    /// Bits of a channel, as it is decoded.
    pub bits: u8,
    /// Whether it comes in several passes over the whole picture, which must all be kept.
    pub progressive: bool,
}

impl Header {
    /// Of a picture that stands still, upright, with 8 bits per channel.
    pub(crate) const fn still(format: Format, size: Size, channels: u8) -> Self {
        Self {
            format,
            size,
            orientation: Orientation::Upright,
            frames: 1,
            duration_ms: 0,
            channels,
            bits: 8,
            progressive: false,
        }
    }

    /// Reads the header of a file.
    pub fn read(file: &[u8], rules: &Rules) -> Result<Self, RenderError> {
        let header = match Format::sniff(file).ok_or(RenderError::UnknownFormat)? {
            Format::Jpeg => jpeg::read_header(file)?,
            Format::Png => png::read_header(file, rules)?,
            Format::Gif => gif::read_header(file, rules)?,
            Format::WebP => webp::read_header(file, rules)?,
            Format::Avif if rules.avif => avif::read_header(file, rules)?,
            Format::Jxl => jxl::read_header(file, rules)?,
            Format::Bmp => bmp::read_header(file)?,
            Format::Tiff => tiff::read_header(file)?,
            Format::Ico => ico::read_header(file, rules)?,
            Format::Svg if rules.svg => svg::read_header(file)?,
            Format::Avif | Format::Svg => return Err(RenderError::UnknownFormat),
        };
        let pixels = header.size.pixels();
        if pixels == 0 {
            return Err(RenderError::broken("no pixels"));
        }
        if pixels > rules.most_pixels {
            return Err(RenderError::TooManyPixels { pixels, most: rules.most_pixels });
        }
        Ok(header)
    }

    /// As people see it.
    pub const fn seen_size(&self) -> Size {
        self.orientation.seen(self.size)
    }

    /// Whether it moves.
    pub const fn is_animated(&self) -> bool {
        self.frames > 1
    }

    /// Decodes the picture, the first one if there are several. A decoder may answer a
    /// smaller one when that is cheaper, but not below what is needed.
    pub(crate) fn decode_for(&self, file: &dyn Source, need: Need) -> Result<Decoded, RenderError> {
        let least = need.least;
        debug_assert!(least.width <= self.size.width && least.height <= self.size.height, "never enlarged");
        match self.format {
            Format::Jpeg => jpeg::decode(file, self, need),
            Format::Png => png::decode(file, self, least),
            Format::Gif => gif::decode(file, self),
            Format::WebP => webp::decode(file, self, least),
            Format::Avif => avif::decode(file, self),
            Format::Jxl => jxl::decode(file, self),
            Format::Bmp => bmp::decode(file, self),
            Format::Tiff => tiff::decode(file, self),
            Format::Ico => ico::decode(file, self),
            Format::Svg => svg::decode(file, self, least),
        }
    }

    /// The same, with color as fine as brightness.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn decode(&self, file: &dyn Source, least: Size) -> Result<Decoded, RenderError> {
        self.decode_for(file, Need { least, halved_color: false })
    }

    /// How large the picture comes out of [`Self::decode_for`] at most.
    pub(crate) fn decoded_size(&self, least: Size) -> Size {
        match self.format {
            Format::Png => png::decoded_size(self, least),
            Format::Jpeg => jpeg::decoded_size(self, least),
            _ => self.size,
        }
    }

    /// Memory that decoding takes at most, in bytes, if the picture may not become smaller than
    /// `least`, or if all of an animation is decoded.
    pub(crate) fn memory_bytes(&self, least: Size, animated: bool) -> u64 {
        /// Four channels, as they are unpacked and as they come out.
        const USUAL_PIXEL_BYTES: u64 = 8;
        match self.format {
            Format::Png => png::memory_bytes(self, least, animated),
            Format::Gif => gif::memory_bytes(self, animated),
            Format::Bmp => bmp::memory_bytes(self),
            Format::Tiff => tiff::memory_bytes(self),
            Format::Ico => ico::memory_bytes(self),
            Format::Svg => svg::MEMORY_BYTES + self.size.pixels() * USUAL_PIXEL_BYTES,
            Format::WebP => self.size.pixels().saturating_mul(webp::bytes_per_pixel(self)),
            Format::Avif => self.size.pixels().saturating_mul(avif::bytes_per_pixel(self)),
            Format::Jxl => self.size.pixels().saturating_mul(jxl::bytes_per_pixel(self)),
            Format::Jpeg => jpeg::memory_bytes(self, least),
        }
    }

    /// The pictures of an animation.
    pub(crate) fn frames<'f>(&self, file: &'f dyn Source) -> Result<Box<dyn Frames + 'f>, RenderError> {
        match self.format {
            Format::Gif => gif::frames(file, self),
            Format::Png => png::frames(file, self),
            Format::WebP => webp::frames(file, self),
            Format::Avif => avif::frames(file, self),
            Format::Jxl => jxl::frames(file, self),
            Format::Jpeg | Format::Bmp | Format::Tiff | Format::Ico | Format::Svg => {
                Err(RenderError::broken("a format that does not move"))
            }
        }
    }
}

/// What is needed of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// The size below which it must not be.
    pub(crate) least: Size,
    /// Whether color may be half as fine as brightness in each direction.
    pub(crate) halved_color: bool,
}

/// What comes out of a decoder.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) pixels: Pixels,
    /// What its colors mean, if that is not sRGB.
    pub(crate) icc: Option<Vec<u8>>,
}

/// An ICC profile, unless it is larger than any that means well.
fn usable_profile(profile: &[u8]) -> Option<Vec<u8>> {
    (profile.len() <= MOST_PROFILE_BYTES).then(|| profile.to_vec())
}

/// The samples of a picture.
#[derive(Debug)]
pub(crate) enum Pixels {
    Picture(Picture),
    /// A plane per channel of `layout`. Each has a size of its own, and all show the same.
    Planes {
        layout: Layout,
        planes: Vec<Plane>,
    },
}

impl From<Picture> for Decoded {
    fn from(picture: Picture) -> Self {
        Self { pixels: Pixels::Picture(picture), icc: None }
    }
}

/// Decodes the whole of a JPEG by the reader that always does.
#[cfg(test)]
pub(crate) fn decode_in_full(file: &[u8], header: &Header) -> Result<Picture, RenderError> {
    match header.format {
        Format::Jpeg => {
            let decoder = heliograph_jpeg::Decoder::new(file, heliograph_jpeg::Limits::default());
            let decoder = decoder.map_err(|error| RenderError::broken(error.to_string()))?;
            jpeg::decode_by_zune(file, decoder.header())
        }
        _ => match header.decode(&file.to_vec(), header.size)?.pixels {
            Pixels::Picture(picture) => Ok(picture),
            Pixels::Planes { .. } => Err(RenderError::broken("planes")),
        },
    }
}
