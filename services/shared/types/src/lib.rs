//! Identifiers, error codes, limits and the clock: what every other crate speaks of.
//!
//! Pure: no I/O, no async, no knowledge of any service.

mod clock;
mod content;
mod error;
mod id;
mod secret;
mod thumbnail;
mod trial;

/// What an instance that was asked to end puts before each answer over gRPC: calls are to go to
/// others, although this one answers still.
pub const LEAVING_HEADER: &str = "heliograph-leaving";

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use content::{ContentType, FileName, InvalidContentType};
pub use error::{AccountLimit, ErrorCode, Failure};
pub use id::{InvalidId, MediaId, Mxc, ServerName, StoreName, UserId};
pub use secret::Secret;
pub use thumbnail::{
    InvalidBox, InvalidFormat, InvalidMethod, InvalidSpec, Sizes, ThumbnailBox, ThumbnailFormat, ThumbnailMethod,
    ThumbnailSpec, ThumbnailVariant,
};
pub use trial::{Finding, Trial, Verdict};
