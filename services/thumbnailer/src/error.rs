//! Why nothing could be made of a picture.

use heliograph_types::{ErrorCode, Failure};

/// What stands between a file and its thumbnail or description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    /// Not one of the formats that we read.
    #[error("not a picture in a format that can be made smaller")]
    UnknownFormat,
    /// The file does not hold what its format asks for.
    #[error("the picture cannot be read: {0}")]
    Broken(String),
    /// More than the limit.
    #[error("the picture has {pixels} pixels, more than {most}")]
    TooManyPixels { pixels: u64, most: u64 },
    /// The thumbnail is larger than the contract can carry.
    #[error("the thumbnail has {bytes} bytes, more than {most}: ask for a smaller one")]
    TooManyBytes { bytes: usize, most: usize },
    /// The decoder lost its way. The file is hostile, or we have a fault.
    #[error("the picture cannot be read: the decoder gave up")]
    DecoderPanicked,
    /// Nobody waited any more when its turn came.
    #[error("nobody waits for this picture")]
    Abandoned,
}

impl RenderError {
    /// A short reason why the file is no good.
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }

    /// What the client learns; `remote` says that the file is a copy from another server.
    pub(crate) fn into_failure(self, remote: bool) -> Failure {
        let code = match self {
            Self::UnknownFormat | Self::Broken(_) | Self::DecoderPanicked => ErrorCode::CannotThumbnail,
            Self::TooManyPixels { .. } | Self::TooManyBytes { .. } => too_large_code(remote),
            Self::Abandoned => ErrorCode::Unavailable,
        };
        Failure::new(code, self.to_string())
    }
}

/// Over a limit: our own media are the uploader's fault, others the other server's.
pub(crate) const fn too_large_code(remote: bool) -> ErrorCode {
    if remote { ErrorCode::RemoteTooLarge } else { ErrorCode::TooLarge }
}
