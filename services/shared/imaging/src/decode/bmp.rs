//! Windows' bitmap.

use super::{Decoded, Header};
use crate::{error::RenderError, source::Source};

pub(super) fn is_of(_: &[u8]) -> bool {
    false
}

pub(super) fn read_header(_: &[u8]) -> Result<Header, RenderError> {
    Err(RenderError::UnknownFormat)
}

pub(super) fn decode(_: &dyn Source, _: &Header) -> Result<Decoded, RenderError> {
    Err(RenderError::UnknownFormat)
}
