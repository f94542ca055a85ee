//! Pictures that move.

use std::time::Duration;

use crate::{error::RenderError, picture::Picture};

/// One picture of an animation, as it is shown: the whole canvas, with all that earlier ones have
/// left on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Always `Rgba`, as large as the header says.
    pub(crate) picture: Picture,
    /// How long it is shown.
    pub(crate) lasts: Duration,
}

/// The pictures of an animation, one after the other.
pub(crate) trait Frames {
    /// The next one; `None` after the last. A file that is cut off ends early.
    fn next_frame(&mut self) -> Result<Option<Frame>, RenderError>;

    /// How often it is played; 0 is for ever.
    fn plays(&self) -> u16;
}
