//! From a file to pixels. Looks at the header first and refuses there what is too large:
//! nothing is allocated for the word of a stranger.

mod jpeg;
mod png;

use heliograph_jpeg::Plane;

use crate::{
    error::RenderError,
    geometry::Size,
    orientation::Orientation,
    picture::{Layout, Picture},
};

/// A format that we read, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
}

impl Format {
    /// The format of a file; what anybody claims about it does not count.
    pub(crate) fn sniff(file: &[u8]) -> Option<Self> {
        if file.starts_with(&jpeg::MAGIC) {
            Some(Self::Jpeg)
        } else if file.starts_with(&png::MAGIC) {
            Some(Self::Png)
        } else {
            None
        }
    }

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// A file whose header is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    Jpeg(jpeg::Header),
    Png(png::Header),
}

impl Header {
    /// Reads the header of a file.
    pub(crate) fn read(file: &[u8], most_pixels: u64) -> Result<Self, RenderError> {
        let header = match Format::sniff(file).ok_or(RenderError::UnknownFormat)? {
            Format::Jpeg => Self::Jpeg(jpeg::Header::read(file)?),
            Format::Png => Self::Png(png::Header::read(file)?),
        };
        let pixels = header.size().pixels();
        if pixels > most_pixels {
            return Err(RenderError::TooManyPixels { pixels, most: most_pixels });
        }
        Ok(header)
    }

    /// The format of the file.
    pub(crate) const fn format(&self) -> Format {
        match self {
            Self::Jpeg(_) => Format::Jpeg,
            Self::Png(_) => Format::Png,
        }
    }

    /// As it is stored, before it is turned upright.
    pub(crate) const fn size(&self) -> Size {
        match self {
            Self::Jpeg(header) => header.size,
            Self::Png(header) => header.size,
        }
    }

    /// How it must be turned.
    pub(crate) const fn orientation(&self) -> Orientation {
        match self {
            Self::Jpeg(header) => header.orientation,
            Self::Png(_) => Orientation::Upright,
        }
    }

    /// As people see it.
    pub(crate) const fn seen_size(&self) -> Size {
        self.orientation().seen(self.size())
    }

    /// Decodes the picture, the first one if there are several. A decoder may answer a
    /// smaller one when that is cheaper, but not below `least`.
    pub(crate) fn decode(&self, file: &[u8], least: Size) -> Result<Decoded, RenderError> {
        debug_assert!(least.width <= self.size().width && least.height <= self.size().height, "never enlarged");
        match self {
            Self::Jpeg(header) => jpeg::decode(file, header, least),
            Self::Png(header) => png::decode(file, *header).map(Decoded::Picture),
        }
    }
}

/// What comes out of a decoder.
#[derive(Debug)]
pub(crate) enum Decoded {
    Picture(Picture),
    /// A plane per channel of `layout`. Each has a size of its own, and all show the same.
    Planes {
        layout: Layout,
        planes: Vec<Plane>,
    },
}

/// Decodes the whole of a JPEG by the reader that always does.
#[cfg(test)]
pub(crate) fn decode_in_full(file: &[u8], header: &Header) -> Result<Picture, RenderError> {
    match header {
        Header::Jpeg(header) => jpeg::decode_by_zune(file, header),
        Header::Png(header) => png::decode(file, *header),
    }
}
