//! Why a worker is gone.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use serde::{Deserialize, Serialize};

/// What ended a worker, and so the call that it was busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The call took more time than it may, on the processor or by the clock on the wall.
    Time,
    /// The call needed more memory than it may.
    Memory,
    /// It made a system call that it has no right to.
    Forbidden,
    /// Its program panicked.
    Panicked,
    /// It crashed, by this signal.
    Crashed(i32),
    /// Somebody else killed it: an operator, or the system when memory ran out. Not its own doing.
    Killed,
    /// It ended by itself, with this exit code.
    Exited(i32),
    /// It answers what is no answer, or nothing more.
    Garbled,
    /// It could not be started.
    NotStarted,
}

impl Reason {
    /// A word for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Forbidden => "forbidden",
            Self::Panicked => "panicked",
            Self::Crashed(_) => "crashed",
            Self::Killed => "killed",
            Self::Exited(_) => "exited",
            Self::Garbled => "garbled",
            Self::NotStarted => "not_started",
        }
    }

    /// Whether the same call would end the same way: the fault is in what was sent.
    pub const fn is_of_the_call(self) -> bool {
        !matches!(self, Self::Killed | Self::NotStarted)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("it took too long"),
            Self::Memory => f.write_str("it needed too much memory"),
            Self::Forbidden => f.write_str("it did what it must not"),
            Self::Panicked => f.write_str("it panicked"),
            Self::Crashed(signal) => write!(f, "it crashed (signal {signal})"),
            Self::Killed => f.write_str("it was killed from outside"),
            Self::Exited(code) => write!(f, "it ended with {code}"),
            Self::Garbled => f.write_str("its answer was none"),
            Self::NotStarted => f.write_str("it could not be started"),
        }
    }
}

/// A worker that is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a worker is lost: {reason}{}{words}", if words.is_empty() { "" } else { ": " })]
pub struct Lost {
    /// Why.
    pub reason: Reason,
    /// The beginning of what it said before, on its standard error; may hold anything.
    pub words: String,
}

/// What Rust says before it aborts for want of memory.
const NO_MEMORY: &str = "memory allocation of ";
/// What Rust's programs end with when they panic.
const PANICKED: i32 = 101;

impl Lost {
    pub(crate) fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }

    /// By how it ended.
    pub(crate) fn by(status: ExitStatus, words: String) -> Self {
        let reason = match (status.signal(), status.code()) {
            (Some(signal), _) => by_signal(signal, &words),
            (None, Some(PANICKED)) => Reason::Panicked,
            (None, code) => Reason::Exited(code.unwrap_or_default()),
        };
        Self { reason, words }
    }
}

fn by_signal(signal: i32, words: &str) -> Reason {
    use rustix::process::Signal;
    match signal {
        _ if signal == Signal::KILL.as_raw() => Reason::Killed,
        _ if signal == Signal::SYS.as_raw() => Reason::Forbidden,
        _ if signal == Signal::XCPU.as_raw() => Reason::Time,
        _ if signal == Signal::ABORT.as_raw() && words.contains(NO_MEMORY) => Reason::Memory,
        // Somebody's wish, not a fault.
        _ if signal == Signal::TERM.as_raw() || signal == Signal::INT.as_raw() => Reason::Killed,
        _ => Reason::Crashed(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_a_worker_ended_says_why() {
        let by = |status: i32, words: &str| Lost::by(ExitStatus::from_raw(status), words.to_owned()).reason;

        assert_eq!(by(9, ""), Reason::Killed);
        assert_eq!(by(15, ""), Reason::Killed);
        assert_eq!(by(31, ""), Reason::Forbidden);
        assert_eq!(by(24, ""), Reason::Time);
        assert_eq!(by(6, ""), Reason::Crashed(6));
        assert_eq!(by(6, "memory allocation of 9 bytes failed"), Reason::Memory);
        assert_eq!(by(11, "memory allocation of 9 bytes failed"), Reason::Crashed(11));
        assert_eq!(by(101 << 8, ""), Reason::Panicked);
        assert_eq!(by(3 << 8, ""), Reason::Exited(3));
        assert!(Reason::Time.is_of_the_call() && !Reason::Killed.is_of_the_call());
    }
}
