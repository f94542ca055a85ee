//! The tables of one transaction, each opened once, when it is first needed.

use std::mem;

use redb::{TableError, WriteTransaction};

use super::{bounds::Counts, index_tables::IndexTables, ledger_tables::LedgerTables};

/// See the top of the file.
pub(super) struct Tables<'txn> {
    transaction: &'txn WriteTransaction,
    counts: Counts,
    indexes: Option<IndexTables<'txn>>,
    ledgers: Option<LedgerTables<'txn>>,
}

impl<'txn> Tables<'txn> {
    /// None is open yet. `counts` says how many members some indexes have.
    pub(super) const fn new(transaction: &'txn WriteTransaction, counts: Counts) -> Self {
        Self { transaction, counts, indexes: None, ledgers: None }
    }

    /// Those of the indexes.
    pub(super) fn indexes(&mut self) -> Result<&mut IndexTables<'txn>, TableError> {
        let indexes = match self.indexes.take() {
            Some(indexes) => indexes,
            None => IndexTables::open(self.transaction, mem::take(&mut self.counts))?,
        };
        Ok(self.indexes.insert(indexes))
    }

    /// Those of the ledgers.
    pub(super) fn ledgers(&mut self) -> Result<&mut LedgerTables<'txn>, TableError> {
        let ledgers = match self.ledgers.take() {
            Some(ledgers) => ledgers,
            None => LedgerTables::open(self.transaction)?,
        };
        Ok(self.ledgers.insert(ledgers))
    }

    /// Closes all; says how many members those indexes have now, and how many entries were changed.
    pub(super) fn close(self) -> (Counts, u64) {
        let (counts, changed) = self.indexes.map_or((self.counts, 0), IndexTables::into_counts);
        (counts, changed + self.ledgers.map_or(0, |ledgers| ledgers.changed))
    }
}
