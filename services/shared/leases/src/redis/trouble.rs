//! Why there was no answer, and how long one is waited for.

use std::{fmt, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::{Instant, timeout_at};

/// Why there was no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    NoAnswer(Duration),
    Closed,
    Redis(RedisError),
    /// What answers is not what we need, in words.
    Unfit(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Redis(error) => error.fmt(f),
            Self::Unfit(reason) => f.write_str(reason),
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Redis(error.into())
    }
}

impl Trouble {
    /// Whether the connection is of no more use.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Closed | Self::Unfit(_) => true,
            // A read-only server was the master once: the name leads to another one by now.
            Self::Redis(error) => {
                error.is_io_error() || error.is_unrecoverable_error() || self.is(ServerErrorKind::ReadOnly)
            }
        }
    }

    /// Whether Redis said just this.
    pub(super) fn is(&self, kind: ServerErrorKind) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == ErrorKind::Server(kind))
    }
}

/// When an answer must be there at the latest, and how long that was from the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Self {
        Self { at: Instant::now() + span, span }
    }

    /// The middle of the time that is left.
    pub(super) fn half(&self) -> Instant {
        let now = Instant::now();
        now + self.at.saturating_duration_since(now) / 2
    }

    /// Gives `work` no more time than there is.
    pub(super) async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        timeout_at(self.at, work).await.map_err(|_| Trouble::NoAnswer(self.span))
    }
}
