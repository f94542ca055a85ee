//! WebP.

use std::time::Duration;

use crate::{error::RenderError, geometry::Size, picture::Picture};

pub(super) fn encode(_: &Picture, _: u8) -> Result<Vec<u8>, RenderError> {
    Err(RenderError::UnknownFormat)
}

/// Writes an animation, one picture after the other.
pub(crate) struct Animation {}

impl Animation {
    /// Begins one that is played so often; 0 is for ever.
    pub(crate) fn begin(_: Size, _: u16, _: u8) -> Result<Self, RenderError> {
        Err(RenderError::UnknownFormat)
    }

    /// Adds the next picture, with or without alpha.
    pub(crate) fn add(&mut self, _: &Picture, _: Duration) -> Result<(), RenderError> {
        Err(RenderError::UnknownFormat)
    }

    /// The file.
    pub(crate) fn finish(self) -> Result<Vec<u8>, RenderError> {
        Err(RenderError::UnknownFormat)
    }
}
