//! Ledgers in the file.

use std::time::Duration;

use async_trait::async_trait;
use heliograph_types::Timestamp;

use super::{
    EmbeddedState,
    ledger_tables::{LedgerTables, read_entries, read_holdings, read_times},
    standing::{Period, limits_for},
};
use crate::{Allowance, Exceeded, Holdings, LedgerEntry, Ledgers, StateError};

#[async_trait]
impl Ledgers for EmbeddedState {
    async fn claim(
        &self,
        account: &str,
        claim: &str,
        bytes: u64,
        lifetime: Duration,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        let (account, claim, allowance, now) = (account.to_owned(), claim.to_owned(), *allowance, self.clock.now());
        self.file
            .write("claim", move |transaction| {
                let mut tables = LedgerTables::open(transaction)?;
                tables.forget_past(&account, period_of(&allowance), now)?;
                let admitted = tables.standing(&account, Some(&claim))?.admit(bytes, &allowance, now);
                if admitted.is_ok() {
                    tables.keep_claim(&account, &claim, bytes, now + lifetime)?;
                }
                Ok(admitted)
            })
            .await
    }

    async fn enter(
        &self,
        account: &str,
        entry: &LedgerEntry,
        claim: Option<&str>,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        let entering = Entering {
            entry: entry.clone(),
            claim: claim.map(str::to_owned),
            allowance: *allowance,
            now: self.clock.now(),
        };
        let account = account.to_owned();
        self.file
            .write("enter", move |transaction| Ok(entering.run(&account, &mut LedgerTables::open(transaction)?)?))
            .await
    }

    async fn unclaim(&self, account: &str, claim: &str) -> Result<(), StateError> {
        let (account, claim) = (account.to_owned(), claim.to_owned());
        let unclaim = move |transaction: &_| Ok(LedgerTables::open(transaction)?.forget_claim(&account, &claim)?);
        self.file.write("unclaim", unclaim).await
    }

    async fn strike(&self, account: &str, member: &str) -> Result<(), StateError> {
        let (account, member) = (account.to_owned(), member.to_owned());
        let strike = move |transaction: &_| Ok(LedgerTables::open(transaction)?.strike(&account, &member)?);
        self.file.write("strike", strike).await
    }

    async fn enter_all(&self, account: &str, entries: &[LedgerEntry]) -> Result<(), StateError> {
        let (account, entries) = (account.to_owned(), entries.to_vec());
        let enter_all = move |transaction: &_| {
            let mut tables = LedgerTables::open(transaction)?;
            for entry in entries {
                let earlier = tables.find(&account, &entry.member)?;
                let at = earlier.map_or(entry.at, |(at, _)| at.max(entry.at));
                tables.enter(&account, &LedgerEntry { at, ..entry })?;
            }
            Ok(())
        };
        self.file.write("enter_all", enter_all).await
    }

    async fn move_up(&self, account: &str, times: &[(String, u64)]) -> Result<u64, StateError> {
        let (account, times) = (account.to_owned(), times.to_vec());
        let move_up = move |transaction: &_| {
            let mut tables = LedgerTables::open(transaction)?;
            let mut moved = 0;
            for (member, at) in times {
                if let Some((earlier, bytes)) = tables.find(&account, &member)?
                    && earlier < at
                {
                    tables.enter(&account, &LedgerEntry { member, bytes, at })?;
                    moved += 1;
                }
            }
            Ok(moved)
        };
        self.file.write("move_up", move_up).await
    }

    async fn strike_unless_later(&self, account: &str, member: &str, at: u64) -> Result<bool, StateError> {
        let (account, member) = (account.to_owned(), member.to_owned());
        let strike = move |transaction: &_| {
            let mut tables = LedgerTables::open(transaction)?;
            let is_due = tables.find(&account, &member)?.is_some_and(|(present, _)| present <= at);
            if is_due {
                tables.strike(&account, &member)?;
            }
            Ok(is_due)
        };
        self.file.write("strike_unless_later", strike).await
    }

    async fn times(&self, account: &str, members: &[String]) -> Result<Vec<Option<u64>>, StateError> {
        let (account, members) = (account.to_owned(), members.to_vec());
        self.file.read("times", move |transaction| read_times(transaction, &account, &members)).await
    }

    async fn holdings(&self, account: &str) -> Result<Holdings, StateError> {
        let account = account.to_owned();
        self.file.read("holdings", move |transaction| read_holdings(transaction, &account)).await
    }

    async fn entries(
        &self,
        account: &str,
        newest_first: bool,
        from: usize,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StateError> {
        let account = account.to_owned();
        let read = move |transaction: &_| read_entries(transaction, &account, newest_first, from, limit);
        self.file.read("entries", read).await
    }
}

/// One call of `enter`, on its way to the thread that writes.
struct Entering {
    entry: LedgerEntry,
    claim: Option<String>,
    allowance: Allowance,
    now: Timestamp,
}

impl Entering {
    fn run(&self, account: &str, tables: &mut LedgerTables<'_>) -> Result<Result<(), Exceeded>, redb::StorageError> {
        let (entry, now) = (&self.entry, self.now);
        let earlier = tables.find(account, &entry.member)?.map(|(_, bytes)| bytes);
        let limits = limits_for(entry, earlier, &self.allowance, now);
        tables.forget_past(account, period_of(&self.allowance), now)?;
        let mut standing = tables.standing(account, self.claim.as_deref())?;
        standing.held.bytes = standing.held.bytes.saturating_sub(earlier.unwrap_or(0));
        if let Err(exceeded) = standing.admit(entry.bytes, &limits, now) {
            return Ok(Err(exceeded));
        }
        if let Some(start) = period_of(&limits).and_then(|period| period.slot_of(entry.at, now)) {
            tables.spend(account, start, entry.bytes)?;
        }
        if let Some(claim) = &self.claim {
            tables.forget_claim(account, claim)?;
        }
        tables.enter(account, entry)?;
        Ok(Ok(()))
    }
}

fn period_of(allowance: &Allowance) -> Option<Period> {
    allowance.most_bytes_per_period.map(|(_, period)| Period::new(period))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heliograph_types::ManualClock;
    use tempfile::TempDir;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn open(folder: &TempDir) -> EmbeddedState {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        EmbeddedState::open(&folder.path().join("index.redb"), Arc::new(clock)).unwrap()
    }

    #[tokio::test]
    async fn a_clean_close_keeps_entries_claims_and_what_was_spent() {
        let folder = TempDir::new().unwrap();
        let allowance = Allowance { most_bytes_per_period: Some((100, DAY)), ..Allowance::default() };
        let entry = LedgerEntry { member: "a".to_owned(), bytes: 60, at: 1_700_000_000_000 };
        let state = open(&folder);
        state.enter("account", &entry, None, &allowance).await.unwrap().unwrap();
        state.claim("account", "claim", 30, DAY, &allowance).await.unwrap().unwrap();

        drop(state);
        let state = open(&folder);

        assert_eq!(state.entries("account", true, 0, 10).await.unwrap(), [entry]);
        assert_eq!(state.holdings("account").await.unwrap(), Holdings { bytes: 60, files: 1 });
        assert!(state.claim("account", "another", 11, DAY, &allowance).await.unwrap().is_err());
        assert!(state.claim("account", "another", 10, DAY, &allowance).await.unwrap().is_ok());
    }
}
