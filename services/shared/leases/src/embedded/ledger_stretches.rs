//! How many entries each stretch of an account has, so that a page far from both ends is found without
//! a walk over all that comes before it.
//!
//! # Invariants
//! The first stretch of an account begins before all that could be in it, and each ends where the next
//! one begins. Each says exactly how many entries are in it: at least one, at most [`MOST`].

use std::ops::RangeBounds;

use redb::{ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction};

/// Account, time and member: the place of an entry, and of the beginning of a stretch.
pub(super) type Place<'a> = (&'a str, u64, &'a str);

/// Entries of a stretch; one with more is parted.
pub(super) const MOST: u64 = 256;

/// A stretch that has shrunk to so many is joined to its neighbour, if both together are small.
const FEW: u64 = MOST / 4;

const STRETCHES: TableDefinition<Place<'static>, u64> = TableDefinition::new("ledger_stretches_v1");

/// See the top of the file.
pub(super) struct Stretches<'txn>(Table<'txn, Place<'static>, u64>);

/// Where a page begins: so many entries after this place, or before it if it is read backwards.
pub(super) struct Start {
    /// The end of the account, if it is `None`.
    pub(super) place: Option<(u64, String)>,
    pub(super) skip: usize,
}

/// A stretch: its first place, and how many entries it has.
struct Stretch {
    at: u64,
    member: String,
    entries: u64,
}

impl<'txn> Stretches<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, TableError> {
        transaction.open_table(STRETCHES).map(Self)
    }

    /// An entry was made at a place where none was. `entries` holds them all.
    pub(super) fn add(
        &mut self,
        (account, at, member): Place<'_>,
        entries: &impl ReadableTable<Place<'static>, u64>,
    ) -> Result<(), StorageError> {
        let Some(stretch) = self.around((account, at, member))? else {
            self.0.insert((account, 0, ""), 1)?;
            return Ok(());
        };
        let many = stretch.entries + 1;
        if many <= MOST {
            return self.put(account, &stretch, many);
        }
        let first_half = many / 2;
        let after = usize::try_from(first_half).unwrap_or(usize::MAX);
        let middle = entries.range((account, stretch.at, stretch.member.as_str())..)?.nth(after).transpose()?;
        let Some((middle, _)) = middle else { return self.put(account, &stretch, many) };
        self.put(account, &stretch, first_half)?;
        self.0.insert(middle.value(), many - first_half)?;
        Ok(())
    }

    /// The entry at a place is no more.
    pub(super) fn take(&mut self, (account, at, member): Place<'_>) -> Result<(), StorageError> {
        let Some(stretch) = self.around((account, at, member))? else { return Ok(()) };
        let left = stretch.entries.saturating_sub(1);
        if left > FEW {
            return self.put(account, &stretch, left);
        }
        let joins = |neighbour: &Stretch| left == 0 || left + neighbour.entries <= MOST / 2;
        if let Some(before) = self.before(account, &stretch)?.filter(joins) {
            self.remove(account, &stretch)?;
            return self.put(account, &before, before.entries + left);
        }
        if let Some(next) = self.after(account, &stretch)?.filter(joins) {
            self.remove(account, &next)?;
            return self.put(account, &stretch, left + next.entries);
        }
        if left == 0 { self.remove(account, &stretch) } else { self.put(account, &stretch, left) }
    }

    fn put(&mut self, account: &str, stretch: &Stretch, entries: u64) -> Result<(), StorageError> {
        self.0.insert((account, stretch.at, stretch.member.as_str()), entries)?;
        Ok(())
    }

    fn remove(&mut self, account: &str, stretch: &Stretch) -> Result<(), StorageError> {
        self.0.remove((account, stretch.at, stretch.member.as_str()))?;
        Ok(())
    }

    /// The stretch in which a place is.
    fn around(&self, place: Place<'_>) -> Result<Option<Stretch>, StorageError> {
        self.last_in((place.0, 0, "")..=place)
    }

    fn before(&self, account: &str, stretch: &Stretch) -> Result<Option<Stretch>, StorageError> {
        self.last_in((account, 0, "")..(account, stretch.at, stretch.member.as_str()))
    }

    fn last_in<'a>(&self, places: impl RangeBounds<Place<'a>> + 'a) -> Result<Option<Stretch>, StorageError> {
        let found = self.0.range(places)?.next_back().transpose()?;
        Ok(found.map(|(place, entries)| read(place.value(), entries.value())))
    }

    fn after(&self, account: &str, stretch: &Stretch) -> Result<Option<Stretch>, StorageError> {
        let next = account_after(account);
        let places = (account, stretch.at, stretch.member.as_str())..(next.as_str(), 0, "");
        let found = self.0.range(places)?.nth(1).transpose()?;
        Ok(found.map(|(place, entries)| read(place.value(), entries.value())))
    }
}

fn read((_, at, member): Place<'_>, entries: u64) -> Stretch {
    Stretch { at, member: member.to_owned(), entries }
}

/// Where the entries after the first `from` begin, or if they are read backwards, before the last `from`. `None` if there
/// are no others.
pub(super) fn find_start(
    transaction: &ReadTransaction,
    account: &str,
    backwards: bool,
    from: usize,
) -> Result<Option<Start>, redb::Error> {
    let table = transaction.open_table(STRETCHES)?;
    let next = account_after(account);
    let mut rows = table.range((account, 0, "")..(next.as_str(), 0, ""))?;
    let (mut skip, mut end) = (from, None);
    while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
        let (place, entries) = row?;
        let (_, at, member) = place.value();
        let (place, entries) = ((at, member.to_owned()), usize::try_from(entries.value()).unwrap_or(usize::MAX));
        if skip < entries {
            return Ok(Some(Start { place: if backwards { end } else { Some(place) }, skip }));
        }
        skip -= entries;
        end = Some(place);
    }
    Ok(None)
}

/// How many entries each stretch of an account has, in their order.
#[cfg(test)]
pub(super) fn read_stretches(transaction: &ReadTransaction, account: &str) -> Result<Vec<u64>, redb::Error> {
    let (table, next) = (transaction.open_table(STRETCHES)?, account_after(account));
    let rows = table.range((account, 0, "")..(next.as_str(), 0, ""))?;
    rows.map(|row| Ok(row?.1.value())).collect()
}

/// The very next name in the order of accounts, which ends the rows of this one.
pub(super) fn account_after(account: &str) -> String {
    format!("{account}\0")
}
