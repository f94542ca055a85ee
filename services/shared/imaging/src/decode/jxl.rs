//! JPEG XL.

use super::{Decoded, Header};
use crate::{animation::Frames, error::RenderError, rules::Rules, source::Source};

pub(super) fn is_of(_: &[u8]) -> bool {
    false
}

pub(super) fn read_header(_: &[u8], _: &Rules) -> Result<Header, RenderError> {
    Err(RenderError::UnknownFormat)
}

pub(super) fn decode(_: &dyn Source, _: &Header) -> Result<Decoded, RenderError> {
    Err(RenderError::UnknownFormat)
}

pub(super) fn frames<'f>(_: &'f dyn Source, _: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    Err(RenderError::UnknownFormat)
}
