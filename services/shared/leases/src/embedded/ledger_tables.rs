//! The tables of the ledgers, within one transaction.
//!
//! # Invariants
//! Each row of `by_time` has its counterpart in `by_member`, and `totals` is their sum. An account
//! without entries has no totals. The stretches count the rows of `by_time`.

use heliograph_types::Timestamp;
use redb::{ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction};

use super::{
    ledger_stretches::{Place, Start, Stretches, account_after, find_start},
    standing::{Period, Slot, Standing},
};
use crate::{Holdings, LedgerEntry};

// The place of an entry, with its bytes.
const BY_TIME: TableDefinition<Place<'_>, u64> = TableDefinition::new("ledger_by_time_v2");
// Account and member, with its time and bytes.
const BY_MEMBER: TableDefinition<(&str, &str), (u64, u64)> = TableDefinition::new("ledger_by_member_v2");
// Account, with its bytes and files.
const TOTALS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("ledger_totals_v2");
// Account and claim, with its bytes and the time at which it ends.
const CLAIMS: TableDefinition<(&str, &str), (u64, u64)> = TableDefinition::new("ledger_claims_v1");
// Account and start of the slot, with the bytes.
const SLOTS: TableDefinition<(&str, u64), u64> = TableDefinition::new("ledger_slots_v1");

// Entries of which no stretch knows.
const EARLIER: [TableDefinition<&str, &str>; 3] = [
    TableDefinition::new("ledger_by_time_v1"),
    TableDefinition::new("ledger_by_member_v1"),
    TableDefinition::new("ledger_totals_v1"),
];

/// Removes the entries that an earlier version wrote; says whether there were any, which are to be entered anew.
pub(super) fn remove_earlier(transaction: &WriteTransaction) -> Result<bool, TableError> {
    EARLIER.into_iter().try_fold(false, |found, table| Ok(transaction.delete_table(table)? || found))
}

/// All of them, opened for writing.
pub(super) struct LedgerTables<'txn> {
    by_time: Table<'txn, Place<'static>, u64>,
    by_member: Table<'txn, (&'static str, &'static str), (u64, u64)>,
    totals: Table<'txn, &'static str, (u64, u64)>,
    claims: Table<'txn, (&'static str, &'static str), (u64, u64)>,
    slots: Table<'txn, (&'static str, u64), u64>,
    stretches: Stretches<'txn>,
    /// How many entries were made or struck out.
    pub(super) changed: u64,
}

impl<'txn> LedgerTables<'txn> {
    /// Opens the tables, which makes those that are missing.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            by_time: transaction.open_table(BY_TIME)?,
            by_member: transaction.open_table(BY_MEMBER)?,
            totals: transaction.open_table(TOTALS)?,
            claims: transaction.open_table(CLAIMS)?,
            slots: transaction.open_table(SLOTS)?,
            stretches: Stretches::open(transaction)?,
            changed: 0,
        })
    }

    /// How the account stands but for its claim `own`.
    pub(super) fn standing(&self, account: &str, own: Option<&str>) -> Result<Standing, StorageError> {
        let mut standing = Standing { held: self.held(account)?, ..Standing::default() };
        let next = account_after(account);
        for row in self.claims.range((account, "")..(next.as_str(), ""))? {
            let (key, claim) = row?;
            if Some(key.value().1) != own {
                standing.claimed.bytes = standing.claimed.bytes.saturating_add(claim.value().0);
                standing.claimed.files += 1;
            }
        }
        for row in self.slots.range((account, 0)..(next.as_str(), 0))? {
            let (key, bytes) = row?;
            standing.slots.push(Slot { start: key.value().1, bytes: bytes.value() });
        }
        Ok(standing)
    }

    /// Forgets the claims that have ended, and the slots that have left the period.
    pub(super) fn forget_past(
        &mut self,
        account: &str,
        period: Option<Period>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let next = account_after(account);
        self.claims.retain_in((account, "")..(next.as_str(), ""), |_, (_, ends_at)| now.as_millis() < ends_at)?;
        if let Some(period) = period {
            self.slots.retain_in((account, 0)..(next.as_str(), 0), |(_, start), _| !period.is_over(start, now))?;
        }
        Ok(())
    }

    /// Keeps a claim, in place of an earlier one of this name.
    pub(super) fn keep_claim(
        &mut self,
        account: &str,
        claim: &str,
        bytes: u64,
        ends_at: Timestamp,
    ) -> Result<(), StorageError> {
        self.claims.insert((account, claim), (bytes, ends_at.as_millis()))?;
        Ok(())
    }

    /// Forgets a claim, if there is one.
    pub(super) fn forget_claim(&mut self, account: &str, claim: &str) -> Result<(), StorageError> {
        self.claims.remove((account, claim))?;
        Ok(())
    }

    /// Counts bytes into a slot.
    pub(super) fn spend(&mut self, account: &str, start: u64, bytes: u64) -> Result<(), StorageError> {
        let spent = self.slots.get((account, start))?.map_or(0, |spent| spent.value());
        self.slots.insert((account, start), spent.saturating_add(bytes))?;
        Ok(())
    }

    /// The time and the bytes of a member, if it is entered.
    pub(super) fn find(&self, account: &str, member: &str) -> Result<Option<(u64, u64)>, StorageError> {
        Ok(self.by_member.get((account, member))?.map(|row| row.value()))
    }

    /// Enters a member, in place of an earlier entry of it.
    pub(super) fn enter(&mut self, account: &str, entry: &LedgerEntry) -> Result<(), StorageError> {
        let LedgerEntry { member, bytes, at } = entry;
        self.changed += 1;
        let earlier = self.by_member.insert((account, member.as_str()), (*at, *bytes))?.map(|row| row.value());
        if let Some((earlier_at, _)) = earlier.filter(|(earlier_at, _)| earlier_at != at) {
            self.remove_at((account, earlier_at, member))?;
        }
        let place = (account, *at, member.as_str());
        if self.by_time.insert(place, *bytes)?.is_none() {
            self.stretches.add(place, &self.by_time)?;
        }
        let held = self.held(account)?;
        let kept = held.bytes.saturating_sub(earlier.map_or(0, |(_, bytes)| bytes));
        let files = held.files + u64::from(earlier.is_none());
        self.totals.insert(account, (kept.saturating_add(*bytes), files))?;
        Ok(())
    }

    /// Strikes a member out, if it is entered.
    pub(super) fn strike(&mut self, account: &str, member: &str) -> Result<(), StorageError> {
        let Some((at, bytes)) = self.by_member.remove((account, member))?.map(|row| row.value()) else {
            return Ok(());
        };
        self.changed += 1;
        self.remove_at((account, at, member))?;
        let held = self.held(account)?;
        if held.files > 1 {
            self.totals.insert(account, (held.bytes.saturating_sub(bytes), held.files - 1))?;
        } else {
            self.totals.remove(account)?;
        }
        Ok(())
    }

    fn remove_at(&mut self, place: Place<'_>) -> Result<(), StorageError> {
        if self.by_time.remove(place)?.is_some() {
            self.stretches.take(place)?;
        }
        Ok(())
    }

    fn held(&self, account: &str) -> Result<Holdings, StorageError> {
        read_totals(&self.totals, account)
    }
}

/// The totals of an account.
pub(super) fn read_holdings(transaction: &ReadTransaction, account: &str) -> Result<Holdings, redb::Error> {
    Ok(read_totals(&transaction.open_table(TOTALS)?, account)?)
}

/// The times of members, in their order.
pub(super) fn read_times(
    transaction: &ReadTransaction,
    account: &str,
    members: &[String],
) -> Result<Vec<Option<u64>>, redb::Error> {
    let table = transaction.open_table(BY_MEMBER)?;
    let time = |member: &String| Ok(table.get((account, member.as_str()))?.map(|row| row.value().0));
    members.iter().map(time).collect()
}

/// At most `limit` entries after the first `from`.
pub(super) fn read_entries(
    transaction: &ReadTransaction,
    account: &str,
    newest_first: bool,
    from: usize,
    limit: usize,
) -> Result<Vec<LedgerEntry>, redb::Error> {
    let Some(Start { place, skip }) = find_start(transaction, account, newest_first, from)? else {
        return Ok(Vec::new());
    };
    let table = transaction.open_table(BY_TIME)?;
    let next = account_after(account);
    let place = place.as_ref().map(|(at, member)| (account, *at, member.as_str()));
    let first = place.filter(|_| !newest_first).unwrap_or((account, 0, ""));
    let end = place.filter(|_| newest_first).unwrap_or((next.as_str(), 0, ""));
    let rows = table.range(first..end)?;
    let rows: Box<dyn Iterator<Item = _>> = if newest_first { Box::new(rows.rev()) } else { Box::new(rows) };
    let mut entries = Vec::new();
    for row in rows.skip(skip).take(limit) {
        let (key, bytes) = row?;
        let (_, at, member) = key.value();
        entries.push(LedgerEntry { member: member.to_owned(), bytes: bytes.value(), at });
    }
    Ok(entries)
}

fn read_totals(table: &impl ReadableTable<&'static str, (u64, u64)>, account: &str) -> Result<Holdings, StorageError> {
    let (bytes, files) = table.get(account)?.map_or((0, 0), |row| row.value());
    Ok(Holdings { bytes, files })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redb::{Database, backends::InMemoryBackend};

    use super::*;

    #[test]
    fn claims_that_ended_and_slots_that_left_do_not_pile_up() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut tables = LedgerTables::open(&transaction).unwrap();
        let period = Period::new(Duration::from_secs(32));
        for name in ["account", "account\0", "acc"] {
            tables.spend(name, 0, 1).unwrap();
            tables.keep_claim(name, "claim", 1, Timestamp::from_millis(1)).unwrap();
        }

        for now in (0..10_000_000).step_by(5000).map(Timestamp::from_millis) {
            tables.forget_past("account", Some(period), now).unwrap();
            tables.spend("account", period.slot_of(now.as_millis(), now).unwrap(), 1).unwrap();
            let ends_at = now + Duration::from_secs(10);
            tables.keep_claim("account", &now.to_string(), 1, ends_at).unwrap();
        }

        let standing = tables.standing("account", None).unwrap();
        assert_eq!((standing.slots.len(), standing.claimed.files), (7, 2));
        assert_eq!(tables.standing("account\0", None).unwrap().slots.len(), 1);
        assert_eq!(tables.standing("acc", None).unwrap().claimed.files, 1);
    }
}
