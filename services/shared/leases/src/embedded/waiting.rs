//! What is to be written, in its order: what somebody waits for, which is written at once, and what
//! nobody waits for, which is written with it or a little later.

use std::mem;

use tokio::sync::oneshot;

use super::{
    bounds::{Bounds, Counts, Touch},
    tables::Tables,
};
use crate::measure::count_failure;

/// Writes that wait without anybody waiting for them; with more, whoever comes has to wait. So many
/// take about 10 ms.
pub(super) const MOST_BEHIND: usize = 1000;

/// Bytes of their names.
pub(super) const MOST_BEHIND_BYTES: usize = 1 << 20;

/// A part of a transaction.
pub(super) trait Write: Send {
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    /// The transaction is over.
    fn tell(self: Box<Self>, outcome: Result<(), String>);
}

/// What a write is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// What it is called.
    pub(super) operation: &'static str,
    /// The index that it is about, if it is about one, and what it does to it.
    pub(super) touched: Option<(&'a str, Touch)>,
    /// The bytes of its names.
    pub(super) bytes: usize,
}

impl<'a> About<'a> {
    /// A write to an index.
    pub(super) const fn index(operation: &'static str, index: &'a str, member: &str, touch: Touch) -> Self {
        Self { operation, touched: Some((index, touch)), bytes: index.len() + member.len() }
    }

    /// A write to an account, about things with such names.
    pub(super) const fn account(operation: &'static str, account: &str, names_bytes: usize) -> About<'static> {
        About { operation, touched: None, bytes: account.len() + names_bytes }
    }
}

/// A write whose caller waits for the outcome.
pub(super) struct Asked<T, W> {
    work: Option<W>,
    value: Option<T>,
    answer: oneshot::Sender<Result<Option<T>, String>>,
}

impl<T, W> Asked<T, W> {
    pub(super) const fn new(work: W, answer: oneshot::Sender<Result<Option<T>, String>>) -> Self {
        Self { work: Some(work), value: None, answer }
    }
}

impl<T, W> Write for Asked<T, W>
where
    T: Send,
    W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
{
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.value = self.work.take().map(|work| work(tables)).transpose()?;
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<(), String>) {
        // An error means that nobody waits any more.
        let Self { value, answer, .. } = *self;
        let _ = answer.send(outcome.map(|()| value));
    }
}

/// A write whose caller has gone on.
pub(super) struct Behind<W> {
    operation: &'static str,
    work: Option<W>,
}

impl<W> Behind<W> {
    pub(super) const fn new(operation: &'static str, work: W) -> Self {
        Self { operation, work: Some(work) }
    }
}

impl<T, W> Write for Behind<W>
where
    W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
{
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.work.take().map(|work| work(tables)).transpose()?;
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<(), String>) {
        if outcome.is_err() {
            count_failure("embedded", self.operation);
        }
    }
}

/// What is written in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Box<dyn Write>>,
    /// How many members the indexes have that it is about, as far as that is known.
    pub(super) counts: Counts,
    /// Of the writes, how many nobody waits for.
    pub(super) behind: usize,
    touched: Vec<String>,
}

/// See the top of the file.
#[derive(Default)]
pub(super) struct Waiting {
    writes: Vec<Box<dyn Write>>,
    /// Of those, how many nobody waits for.
    behind: usize,
    behind_bytes: usize,
    /// As many are in the transaction that runs.
    being_written_behind: usize,
    bounds: Bounds,
    /// A thread is writing: it will take what somebody waits for.
    is_taken_care_of: bool,
    /// The last transaction failed: everybody is to hear how his own fares.
    is_failing: bool,
    is_closing: bool,
}

impl Waiting {
    /// True if the caller is to see to it that what waits is written.
    pub(super) fn ask(&mut self, about: &About<'_>, write: Box<dyn Write>) -> bool {
        self.push(about, write);
        !mem::replace(&mut self.is_taken_care_of, true)
    }

    /// Whether a write may come that nobody will wait for. `within` is for one that may not
    /// add a member unless there are fewer than so many, which must be sure then.
    pub(super) fn may_defer(&self, about: &About<'_>, within: Option<u64>) -> bool {
        let is_full = self.behind >= MOST_BEHIND || self.behind_bytes.saturating_add(about.bytes) > MOST_BEHIND_BYTES;
        let has_room = match (within, about.touched) {
            (Some(most), Some((index, _))) => self.bounds.has_room(index, most),
            _ => true,
        };
        !is_full && has_room && !self.is_failing
    }

    /// Takes a write that nobody will wait for, after `may_defer` has said so. True for the first.
    pub(super) fn defer(&mut self, about: &About<'_>, write: Box<dyn Write>) -> bool {
        self.push(about, write);
        self.behind += 1;
        self.behind_bytes += about.bytes;
        self.behind == 1
    }

    fn push(&mut self, about: &About<'_>, write: Box<dyn Write>) {
        if let Some((index, touch)) = about.touched {
            self.bounds.note(index, touch);
        }
        self.writes.push(write);
    }

    /// Whether something was written behind that nobody can read yet.
    pub(super) const fn is_behind(&self) -> bool {
        self.behind + self.being_written_behind > 0
    }

    /// Whether somebody is to see to what was written behind, or to what was left.
    pub(super) const fn calls(&self) -> bool {
        let is_left = !self.is_taken_care_of && !self.writes.is_empty();
        self.behind > 0 || is_left || self.is_closing
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    pub(super) const fn is_taken_care_of(&self) -> bool {
        self.is_taken_care_of
    }

    /// Nothing more will come.
    pub(super) const fn close(&mut self) {
        self.is_closing = true;
    }

    /// The caller is to write all that waits. False if nothing waits, or if another does it.
    pub(super) fn take_care(&mut self) -> bool {
        let is_ours = !self.is_taken_care_of && !self.writes.is_empty();
        self.is_taken_care_of |= is_ours;
        is_ours
    }

    /// Nobody writes any more.
    pub(super) const fn pass(&mut self) {
        self.is_taken_care_of = false;
    }

    /// All that waits.
    pub(super) fn take(&mut self) -> Batch {
        let (counts, touched) = self.bounds.begin();
        self.being_written_behind = mem::take(&mut self.behind);
        self.behind_bytes = 0;
        Batch { writes: mem::take(&mut self.writes), counts, behind: self.being_written_behind, touched }
    }

    /// A transaction is over. What is to be in the next one: nothing if nobody waits, and then whoever
    /// comes next takes care of it.
    pub(super) fn go_on(&mut self, over: &Batch, is_written: bool) -> Option<Batch> {
        self.bounds.end(&over.touched, is_written.then_some(&over.counts));
        self.being_written_behind = 0;
        self.is_failing = !is_written;
        self.is_taken_care_of = self.writes.len() > self.behind;
        self.is_taken_care_of.then(|| self.take())
    }
}
