//! How requests went, counted.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Add, Sub},
    sync::Mutex,
    time::Instant,
};

/// What a client wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// To upload a file, in one request or into an id that was created.
    Upload,
    /// To create an id.
    Create,
    /// To download what is stored.
    Download,
    /// A thumbnail.
    Thumbnail,
    /// A medium of another server.
    Remote,
    /// To delete a medium.
    Delete,
}

const KINDS: usize = 6;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upload => "uploads",
            Self::Create => "creates",
            Self::Download => "downloads",
            Self::Thumbnail => "thumbnails",
            Self::Remote => "remote downloads",
            Self::Delete => "deletions",
        })
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Done,
    /// There was an answer, and it was no.
    Refused(u16),
    /// There was no answer, or not all of it.
    Broken,
}

/// How many of a kind went how.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) done: u64,
    pub(super) refused: u64,
    pub(super) broken: u64,
}

impl Counts {
    pub(super) fn failed(self) -> u64 {
        self.refused + self.broken
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let Self { done, refused, broken } = other;
        Self { done: self.done + done, refused: self.refused + refused, broken: self.broken + broken }
    }
}

/// The counts of all kinds up to some moment, or between two.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Snapshot([Counts; KINDS]);

impl Snapshot {
    pub(super) fn of(&self, kind: Kind) -> Counts {
        self.0[kind as usize]
    }

    pub(super) fn all(&self) -> Counts {
        self.0.iter().fold(Counts::default(), |sum, counts| sum.plus(*counts))
    }
}

impl Add for Snapshot {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (counts, other) in self.0.iter_mut().zip(other.0) {
            *counts = counts.plus(other);
        }
        self
    }
}

impl Sub for Snapshot {
    type Output = Self;

    fn sub(mut self, before: Self) -> Self {
        for (counts, before) in self.0.iter_mut().zip(before.0) {
            counts.done -= before.done;
            counts.refused -= before.refused;
            counts.broken -= before.broken;
        }
        self
    }
}

#[derive(Debug, Default)]
struct State {
    counts: Snapshot,
    /// The beginning of the request that failed and began last.
    failed_at: Option<Instant>,
    /// What was said in place of yes, since the last look.
    answers: BTreeMap<(Kind, String), u64>,
}

/// Counts for all clients.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

impl Tally {
    /// One more request, which began then.
    pub(super) fn add(&self, kind: Kind, began: Instant, end: End) {
        let mut state = self.0.lock().unwrap();
        let counts = &mut state.counts.0[kind as usize];
        let said = match end {
            End::Done => {
                counts.done += 1;
                return;
            }
            End::Refused(status) => {
                counts.refused += 1;
                status.to_string()
            }
            End::Broken => {
                counts.broken += 1;
                "no answer".to_owned()
            }
        };
        *state.answers.entry((kind, said)).or_default() += 1;
        state.failed_at = state.failed_at.max(Some(began));
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.0.lock().unwrap().counts
    }

    /// When the request began that failed and began last.
    pub(super) fn failed_at(&self) -> Option<Instant> {
        self.0.lock().unwrap().failed_at
    }

    /// What was said in place of yes since the last call, in words.
    pub(super) fn take_answers(&self) -> String {
        let answers = std::mem::take(&mut self.0.lock().unwrap().answers);
        let each = answers.iter().map(|((kind, said), count)| format!("{kind} {said} ({count})"));
        each.collect::<Vec<_>>().join(", ")
    }
}
