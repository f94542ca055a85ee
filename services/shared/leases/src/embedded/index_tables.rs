//! The two tables of the indexes, within one transaction.
//!
//! # Invariants
//! Each row of one table has its counterpart in the other.

use redb::{ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction};

use crate::IndexEntry;

// Another layout of the rows is another name: old tables are then left unread, not misread.
const BY_SCORE: TableDefinition<(&str, u64, &str), ()> = TableDefinition::new("by_score_v1");
const BY_MEMBER: TableDefinition<(&str, &str), u64> = TableDefinition::new("by_member_v1");

/// Both tables, opened for writing.
pub(super) struct IndexTables<'txn> {
    by_score: Table<'txn, (&'static str, u64, &'static str), ()>,
    by_member: Table<'txn, (&'static str, &'static str), u64>,
}

impl<'txn> IndexTables<'txn> {
    /// Opens the tables, which makes those that are missing.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, TableError> {
        Ok(Self { by_score: transaction.open_table(BY_SCORE)?, by_member: transaction.open_table(BY_MEMBER)? })
    }

    /// Lists a member, or moves it.
    pub(super) fn insert(&mut self, index: &str, member: &str, score: u64) -> Result<(), StorageError> {
        let earlier = self.by_member.insert((index, member), score)?.map(|score| score.value());
        if let Some(earlier) = earlier {
            self.by_score.remove((index, earlier, member))?;
        }
        self.by_score.insert((index, score, member), ())?;
        Ok(())
    }

    /// Removes a member if it is listed.
    pub(super) fn remove(&mut self, index: &str, member: &str) -> Result<(), StorageError> {
        let score = self.by_member.remove((index, member))?.map(|score| score.value());
        if let Some(score) = score {
            self.by_score.remove((index, score, member))?;
        }
        Ok(())
    }

    /// Removes all members with a score below `live_from`.
    pub(super) fn remove_below(&mut self, index: &str, live_from: u64) -> Result<(), StorageError> {
        let dead = self.by_score.extract_from_if((index, 0, "")..(index, live_from, ""), |_, ()| true)?;
        for row in dead {
            let (key, _) = row?;
            self.by_member.remove((index, key.value().2))?;
        }
        Ok(())
    }

    /// How many members but `member` are listed; stops counting at `most`.
    pub(super) fn count_others(&self, index: &str, member: &str, most: u64) -> Result<u64, StorageError> {
        let mut others = 0;
        for row in self.by_member.range((index, "")..)? {
            let (key, _) = row?;
            let (row_index, row_member) = key.value();
            if row_index != index || others == most {
                break;
            }
            others += u64::from(row_member != member);
        }
        Ok(others)
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
