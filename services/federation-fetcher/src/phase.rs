//! The phases of a fetch. Each has a bound of its own, and its own word in the log.

use crate::{metrics, verdict::FetchError};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Where the origin is.
    Find,
    /// A connection.
    Connect,
    /// The head of its answer.
    Head,
    /// The heads of the parts of its answer.
    Parts,
    /// The next byte.
    Idle,
    /// Enough bytes for the time.
    Rate,
    /// The end of it all.
    Total,
}

impl Phase {
    /// What it is called where it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Connect => "connect",
            Self::Head => "head",
            Self::Parts => "parts",
            Self::Idle => "idle",
            Self::Rate => "rate",
            Self::Total => "total",
        }
    }

    /// It took too long: counts that, and says whose fault it is. An origin that has begun to
    /// answer is there.
    pub(crate) fn late(self) -> FetchError {
        metrics::gave_up(self.name());
        match self {
            Self::Find => FetchError::origin("where it is was not found out in time"),
            Self::Connect => FetchError::origin("it took no connection in time"),
            Self::Head => FetchError::origin("it did not answer in time"),
            Self::Parts => FetchError::broke_off("the content did not begin in time"),
            Self::Idle => FetchError::broke_off("it stopped sending"),
            Self::Rate => FetchError::broke_off("it sends too slowly"),
            Self::Total => FetchError::nonsense("the media takes too long to fetch"),
        }
    }
}
