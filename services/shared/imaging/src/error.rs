//! Why nothing could be made of a picture.

use serde::{Deserialize, Serialize};

/// What stands between a file and its thumbnail or description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RenderError {
    /// Not one of the formats that we read.
    #[error("not a picture in a format that can be made smaller")]
    UnknownFormat,
    /// The file does not hold what its format asks for.
    #[error("the picture cannot be read: {0}")]
    Broken(String),
    /// More than the limit.
    #[error("the picture has {pixels} pixels, more than {most}")]
    TooManyPixels {
        /// Its pixels.
        pixels: u64,
        /// The limit.
        most: u64,
    },
    /// It would take more memory than a job may have.
    #[error("the picture needs {bytes} bytes of memory, more than {most}")]
    TooMuchMemory {
        /// That it needs.
        bytes: u64,
        /// That it may have.
        most: u64,
    },
}

impl RenderError {
    /// A short reason why the file is no good.
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }
}
