//! Who holds what, and how much of it they may hold.

use std::time::Duration;

use async_trait::async_trait;

use crate::StateError;

/// Slots that a period is counted in: what was entered leaves it up to one slot early.
const SLOTS_PER_PERIOD: u64 = 32;

/// What one account may hold; `None` is without a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes held at a time.
    pub most_bytes: Option<u64>,
    /// Files held at a time.
    pub most_files: Option<u64>,
    /// Bytes entered within a span that ends now, which is at least 1 ms. It counts from when it
    /// is set: what is entered without it is never counted.
    pub most_bytes_per_period: Option<(u64, Duration)>,
}

/// What is over the allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// The bytes held.
    Bytes,
    /// The number of files held.
    Files,
    /// The bytes entered within the period, and nothing else.
    Period {
        /// When enough will have left the period: at least 1 ms, at most the period. It is the
        /// whole period if claims are in the way, or if it is too much for any period.
        retry_after: Duration,
    },
}

/// One thing an account holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// What is held; at most once per account.
    pub member: String,
    /// How large it is.
    pub bytes: u64,
    /// When it was stored, in ms since 1970.
    pub at: u64,
}

/// Totals, claims not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The bytes of all entries.
    pub bytes: u64,
    /// How many entries there are.
    pub files: u64,
}

/// Keeps a ledger per account, shared by all instances, and quotas that hold whoever asks at once.
///
/// Entries are derived from the bucket: entering all of it again rebuilds a ledger. Each method is
/// one atomic step. Numbers are exact up to 2^53. The embedded back end may write what cannot be refused a
/// little after it was acknowledged, as with `Indexes`.
#[async_trait]
pub trait Ledgers: Send + Sync + 'static {
    /// Sets room aside for `bytes` and one file, until it is entered, given up or `lifetime` is
    /// over. Repeating a claim replaces it. Refused, and nothing changes, if this with what is held
    /// and the other living claims is over the allowance.
    async fn claim(
        &self,
        account: &str,
        claim: &str,
        bytes: u64,
        lifetime: Duration,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError>;

    /// Enters what is stored and ends its claim. Refused, and the claim stays, if this with what is
    /// held and the other living claims is over the allowance.
    ///
    /// It counts into the period at its own time: not at all if that is over, and as of now if that
    /// is to come. Entering a member again changes its bytes and time; it adds no file, nothing to
    /// the period, and is only ever refused for more bytes than it had.
    async fn enter(
        &self,
        account: &str,
        entry: &LedgerEntry,
        claim: Option<&str>,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError>;

    /// Gives a claim up; one that is not there is no error.
    async fn unclaim(&self, account: &str, claim: &str) -> Result<(), StateError>;

    /// Strikes a member out and gives its room back, but nothing of what was spent of the period;
    /// one that is not there is no error.
    async fn strike(&self, account: &str, member: &str) -> Result<(), StateError>;

    /// Enters what is stored, without a limit. A member that is entered already gets these bytes, and
    /// the later of both times.
    async fn enter_all(&self, account: &str, entries: &[LedgerEntry]) -> Result<(), StateError>;

    /// Moves members to later times, never to earlier ones; those that are not entered stay away.
    /// Says how many were moved.
    async fn move_up(&self, account: &str, times: &[(String, u64)]) -> Result<u64, StateError>;

    /// Strikes a member out unless its time is later than `at`; says whether it did. Of several
    /// callers at once one does. After an outage an answer of false may be wrong.
    async fn strike_unless_later(&self, account: &str, member: &str, at: u64) -> Result<bool, StateError>;

    /// The times of members, in their order; `None` for one that is not entered.
    async fn times(&self, account: &str, members: &[String]) -> Result<Vec<Option<u64>>, StateError>;

    /// What an account holds; nothing if it is not known.
    async fn holdings(&self, account: &str) -> Result<Holdings, StateError>;

    /// At most `limit` entries after the first `from`, by time and then by member, or in the
    /// reverse of that order. How far from the ends they are costs next to nothing.
    async fn entries(
        &self,
        account: &str,
        newest_first: bool,
        from: usize,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StateError>;
}

/// The length of a slot of a period, both in ms.
pub(crate) const fn slot_millis(period: u64) -> u64 {
    period.div_ceil(SLOTS_PER_PERIOD)
}
