//! Why nothing could be made of a picture.

use heliograph_imaging::RenderError;
use heliograph_jail::Reason;
use heliograph_types::{ErrorCode, Failure};
use serde::{Deserialize, Serialize};

/// What stands between a file and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// Its picture cannot be had.
    #[error(transparent)]
    Picture(#[from] RenderError),
    /// The thumbnail is larger than the contract can carry.
    #[error("the thumbnail has {bytes} bytes, more than {most}: ask for a smaller one")]
    TooManyBytes { bytes: usize, most: usize },
    /// The worker is gone that had the picture. If not by another's doing, the file is hostile, or we have a fault.
    #[error("the picture cannot be read: a worker was lost with it, for {reason}")]
    WorkerLost { reason: Reason },
    /// Nobody waited any more when its turn came.
    #[error("nobody waits for this picture")]
    Abandoned,
    /// No more work is taken.
    #[error("the thumbnailer is shutting down")]
    Closed,
}

/// What a refusal says of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Nothing can be made of it.
    All,
    /// This one cannot be made; others may.
    One,
    /// It is not the fault of the file: asking again may help.
    Nothing,
}

impl Refusal {
    /// Of how much it is the last word.
    pub(crate) const fn extent(&self) -> Extent {
        match self {
            Self::Picture(RenderError::UnknownFormat | RenderError::Broken(_) | RenderError::TooManyPixels { .. }) => {
                Extent::All
            }
            // Another killed it, which says nothing of the file.
            Self::WorkerLost { reason } => {
                if reason.is_of_the_call() {
                    Extent::All
                } else {
                    Extent::Nothing
                }
            }
            Self::Picture(RenderError::TooMuchMemory { .. }) | Self::TooManyBytes { .. } => Extent::One,
            Self::Abandoned | Self::Closed => Extent::Nothing,
        }
    }

    /// Whether it took much to find out, so that no other process should: not what the header
    /// tells.
    pub(crate) const fn is_costly(&self) -> bool {
        match self {
            Self::WorkerLost { reason } => reason.is_of_the_call(),
            Self::Picture(RenderError::TooMuchMemory { .. }) => true,
            Self::Picture(RenderError::UnknownFormat | RenderError::Broken(_) | RenderError::TooManyPixels { .. })
            | Self::TooManyBytes { .. }
            | Self::Abandoned
            | Self::Closed => false,
        }
    }

    /// What it is called where it is counted.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Picture(RenderError::UnknownFormat) => "unknown_format",
            Self::Picture(RenderError::Broken(_)) => "broken",
            Self::Picture(RenderError::TooManyPixels { .. }) => "too_many_pixels",
            Self::Picture(RenderError::TooMuchMemory { .. }) => "too_much_memory",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::WorkerLost { .. } => "worker_lost",
            Self::Abandoned => "abandoned",
            Self::Closed => "closed",
        }
    }

    /// What the client learns; `remote` says that the file is a copy from another server.
    pub(crate) fn into_failure(self, remote: bool) -> Failure {
        let code = match self {
            Self::Picture(RenderError::UnknownFormat | RenderError::Broken(_)) => ErrorCode::CannotThumbnail,
            Self::WorkerLost { reason } if reason.is_of_the_call() => ErrorCode::CannotThumbnail,
            Self::Picture(RenderError::TooManyPixels { .. } | RenderError::TooMuchMemory { .. })
            | Self::TooManyBytes { .. } => too_large_code(remote),
            Self::WorkerLost { .. } | Self::Abandoned | Self::Closed => ErrorCode::Unavailable,
        };
        Failure::new(code, self.to_string())
    }
}

/// Over a limit: our own media are the uploader's fault, others the other server's.
pub(crate) const fn too_large_code(remote: bool) -> ErrorCode {
    if remote { ErrorCode::RemoteTooLarge } else { ErrorCode::TooLarge }
}
