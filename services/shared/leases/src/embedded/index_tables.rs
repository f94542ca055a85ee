//! The two tables of the indexes, within one transaction.
//!
//! # Invariants
//! Each row of one table has its counterpart in the other. What is counted is exact.

use redb::{ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction};

use super::bounds::Counts;
use crate::IndexEntry;

// Another layout of the rows is another name: old tables are then left unread, not misread.
const BY_SCORE: TableDefinition<(&str, u64, &str), ()> = TableDefinition::new("by_score_v1");
const BY_MEMBER: TableDefinition<(&str, &str), u64> = TableDefinition::new("by_member_v1");

/// Both tables, opened for writing.
pub(super) struct IndexTables<'txn> {
    by_score: Table<'txn, (&'static str, u64, &'static str), ()>,
    by_member: Table<'txn, (&'static str, &'static str), u64>,
    counts: Counts,
    changed: u64,
}

/// A member that is to be listed if there is room.
#[derive(Debug)]
pub(super) struct Insertion {
    pub(super) index: String,
    pub(super) member: String,
    pub(super) score: u64,
    /// Below it, members are dead.
    pub(super) live_from: u64,
    /// So many others leave no room.
    pub(super) most: u64,
}

impl<'txn> IndexTables<'txn> {
    /// Opens the tables, which makes those that are missing. `counts` says how many members some
    /// indexes have.
    pub(super) fn open(transaction: &'txn WriteTransaction, counts: Counts) -> Result<Self, TableError> {
        Ok(Self {
            by_score: transaction.open_table(BY_SCORE)?,
            by_member: transaction.open_table(BY_MEMBER)?,
            counts,
            changed: 0,
        })
    }

    /// How many members those indexes have now, and others that had to be counted; and how many
    /// members were listed, moved or removed.
    pub(super) fn into_counts(self) -> (Counts, u64) {
        (self.counts, self.changed)
    }

    /// Lists a member, or moves it.
    pub(super) fn insert(&mut self, index: &str, member: &str, score: u64) -> Result<(), StorageError> {
        self.changed += 1;
        let earlier = self.by_member.insert((index, member), score)?.map(|score| score.value());
        match earlier {
            Some(earlier) => drop(self.by_score.remove((index, earlier, member))?),
            None => self.count_change(index, |count| count + 1),
        }
        self.by_score.insert((index, score, member), ())?;
        Ok(())
    }

    /// Removes a member if it is listed.
    pub(super) fn remove(&mut self, index: &str, member: &str) -> Result<(), StorageError> {
        self.changed += 1;
        let score = self.by_member.remove((index, member))?.map(|score| score.value());
        if let Some(score) = score {
            self.by_score.remove((index, score, member))?;
            self.count_change(index, |count| count.saturating_sub(1));
        }
        Ok(())
    }

    /// Lists a member, or moves it, unless there are too many others; says whether it did. Removes
    /// the dead.
    pub(super) fn insert_within(&mut self, insertion: &Insertion) -> Result<bool, StorageError> {
        let Insertion { index, member, score, live_from, most } = insertion;
        self.remove_below(index, *live_from)?;
        let is_listed = self.by_member.get((index.as_str(), member.as_str()))?.is_some();
        let others = self.count(index)?.saturating_sub(u64::from(is_listed));
        if others >= *most {
            return Ok(false);
        }
        self.insert(index, member, *score)?;
        Ok(true)
    }

    /// Removes all members.
    pub(super) fn clear(&mut self, index: &str) -> Result<(), StorageError> {
        self.remove_below(index, u64::MAX)
    }

    /// Removes all members with a score below `live_from`.
    fn remove_below(&mut self, index: &str, live_from: u64) -> Result<(), StorageError> {
        let dead = self.by_score.extract_from_if((index, 0, "")..(index, live_from, ""), |_, ()| true)?;
        let mut removed = 0;
        for row in dead {
            let (key, _) = row?;
            self.by_member.remove((index, key.value().2))?;
            removed += 1;
        }
        self.changed += removed;
        self.count_change(index, |count| count.saturating_sub(removed));
        Ok(())
    }

    /// How many members are listed. They are looked at if nobody has done so before.
    fn count(&mut self, index: &str) -> Result<u64, StorageError> {
        if let Some(count) = self.counts.get(index) {
            return Ok(*count);
        }
        let mut count = 0;
        for row in self.by_member.range((index, "")..)? {
            if row?.0.value().0 != index {
                break;
            }
            count += 1;
        }
        self.counts.insert(index.to_owned(), count);
        Ok(count)
    }

    fn count_change(&mut self, index: &str, change: impl FnOnce(u64) -> u64) {
        if let Some(count) = self.counts.get_mut(index) {
            *count = change(*count);
        }
    }
}

/// The members with a score of at most `up_to`, lowest first.
pub(super) fn read_range(
    transaction: &ReadTransaction,
    index: &str,
    up_to: u64,
    limit: usize,
) -> Result<Vec<IndexEntry>, redb::Error> {
    let table = transaction.open_table(BY_SCORE)?;
    let mut entries = Vec::new();
    for row in table.range((index, 0, "")..)?.take(limit) {
        let (key, _) = row?;
        let (row_index, score, member) = key.value();
        if row_index != index || score > up_to {
            break;
        }
        entries.push(IndexEntry { member: member.to_owned(), score });
    }
    Ok(entries)
}
