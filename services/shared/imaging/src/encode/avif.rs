//! AVIF.

use crate::{error::RenderError, picture::Picture};

pub(super) fn encode(_: &Picture, _: u8) -> Result<Vec<u8>, RenderError> {
    Err(RenderError::UnknownFormat)
}
