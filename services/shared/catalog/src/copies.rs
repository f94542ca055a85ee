//! Which copies of remote media there are, how large, and when each was last read: an account of
//! the ledgers, derived from the records.
//!
//! A copy is entered before its record is written, and goes with it. It is read at its place in
//! the order of the last reads: who comes first goes first.

use heliograph_leases::{Holdings, LedgerEntry, State, StateError};
use heliograph_types::{Mxc, Timestamp};

use crate::MediaRecord;

/// No user is called so.
const ACCOUNT: &str = "remote copies";

/// Ledger of the copies. In time, a read counts as of when it was noted.
#[derive(Clone)]
pub struct Copies {
    state: State,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").finish_non_exhaustive()
    }
}

/// One copy in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCopy {
    /// The medium; `None` for a name that is none.
    pub mxc: Option<Mxc>,
    /// How large it is.
    pub size_bytes: u64,
    /// When it was last read, or stored.
    pub read_at: Timestamp,
    member: String,
}

impl Copies {
    /// The ledger in this state.
    pub fn new(state: State) -> Self {
        Self { state }
    }

    /// Enters copies, as read at the time that goes with each. Of one that is there already the
    /// later time stays.
    pub async fn enter(&self, copies: &[RemoteCopy]) -> Result<(), StateError> {
        let entries: Vec<LedgerEntry> = copies.iter().map(RemoteCopy::entry).collect();
        self.state.enter_all(ACCOUNT, &entries).await
    }

    /// Notes when copies were read; what is no copy is left out. Says how many it noted: those of
    /// which no later read was noted.
    pub async fn note_read(&self, reads: &[(Mxc, Timestamp)]) -> Result<u64, StateError> {
        let times: Vec<_> = reads.iter().map(|(mxc, at)| (mxc.to_string(), at.as_millis())).collect();
        self.state.move_up(ACCOUNT, &times).await
    }

    /// Takes a copy out of the ledger unless it was read since; says whether it did. Of several who
    /// try at once one does.
    pub async fn take_out(&self, copy: &RemoteCopy) -> Result<bool, StateError> {
        self.state.strike_unless_later(ACCOUNT, &copy.member, copy.read_at.as_millis()).await
    }

    /// Takes a copy out of the ledger, whenever it was read.
    pub async fn forget(&self, mxc: &Mxc) -> Result<(), StateError> {
        self.state.strike(ACCOUNT, &mxc.to_string()).await
    }

    /// At most so many copies, the one first that was not read for longest.
    pub async fn oldest(&self, most: usize) -> Result<Vec<RemoteCopy>, StateError> {
        let entries = self.state.entries(ACCOUNT, false, 0, most).await?;
        Ok(entries.into_iter().map(RemoteCopy::from).collect())
    }

    /// When a copy was last read, or stored; `None` if it is not in the ledger.
    pub async fn find_last_read(&self, mxc: &Mxc) -> Result<Option<Timestamp>, StateError> {
        let times = self.state.times(ACCOUNT, &[mxc.to_string()]).await?;
        Ok(times.first().copied().flatten().map(Timestamp::from_millis))
    }

    /// How many there are, and how large they are together.
    pub async fn total(&self) -> Result<Holdings, StateError> {
        self.state.holdings(ACCOUNT).await
    }
}

impl RemoteCopy {
    /// The copy that a record is about, if it is one that may go when nobody reads it: what a
    /// moderator has decided about stays.
    pub fn of(record: &MediaRecord) -> Option<Self> {
        let may_go = record.is_remote_copy() && record.quarantined.is_none() && !record.protected;
        may_go.then(|| Self {
            mxc: Some(record.mxc.clone()),
            size_bytes: record.size_bytes,
            read_at: record.created_at,
            member: record.mxc.to_string(),
        })
    }

    /// The same, read at this time.
    #[must_use]
    pub fn last_read_at(self, read_at: Timestamp) -> Self {
        Self { read_at, ..self }
    }

    fn entry(&self) -> LedgerEntry {
        LedgerEntry { member: self.member.clone(), bytes: self.size_bytes, at: self.read_at.as_millis() }
    }
}

impl From<LedgerEntry> for RemoteCopy {
    fn from(LedgerEntry { member, bytes, at }: LedgerEntry) -> Self {
        Self { mxc: member.parse().ok(), size_bytes: bytes, read_at: Timestamp::from_millis(at), member }
    }
}
