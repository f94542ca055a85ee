//! Why nothing could be made of a picture.

use heliograph_imaging::RenderError;
use heliograph_types::{ErrorCode, Failure};

/// What stands between a file and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its picture cannot be had.
    #[error(transparent)]
    Picture(#[from] RenderError),
    /// The thumbnail is larger than the contract can carry.
    #[error("the thumbnail has {bytes} bytes, more than {most}: ask for a smaller one")]
    TooManyBytes { bytes: usize, most: usize },
    /// The decoder lost its way. The file is hostile, or we have a fault.
    #[error("the picture cannot be read: the decoder gave up")]
    DecoderPanicked,
    /// Nobody waited any more when its turn came.
    #[error("nobody waits for this picture")]
    Abandoned,
    /// No more work is taken.
    #[error("the thumbnailer is shutting down")]
    Closed,
}

impl Refusal {
    /// What the client learns; `remote` says that the file is a copy from another server.
    pub(crate) fn into_failure(self, remote: bool) -> Failure {
        let code = match self {
            Self::Picture(RenderError::UnknownFormat | RenderError::Broken(_)) | Self::DecoderPanicked => {
                ErrorCode::CannotThumbnail
            }
            Self::Picture(RenderError::TooManyPixels { .. } | RenderError::TooMuchMemory { .. })
            | Self::TooManyBytes { .. } => too_large_code(remote),
            Self::Abandoned | Self::Closed => ErrorCode::Unavailable,
        };
        Failure::new(code, self.to_string())
    }
}

/// Over a limit: our own media are the uploader's fault, others the other server's.
pub(crate) const fn too_large_code(remote: bool) -> ErrorCode {
    if remote { ErrorCode::RemoteTooLarge } else { ErrorCode::TooLarge }
}
