//! Ledgers in the file.

use std::time::Duration;

use async_trait::async_trait;
use heliograph_types::Timestamp;

use super::{
    EmbeddedState,
    ledger_tables::{LedgerTables, read_entries, read_holdings, read_times},
    standing::{Period, limits_for},
    tables::Tables,
    waiting::About,
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
        let about = About::account("claim", account, claim.len());
        let (account, claim, allowance, now) = (account.to_owned(), claim.to_owned(), *allowance, self.clock.now());
        self.file
            .write(about, move |tables| {
                let tables = tables.ledgers()?;
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
        let about = About::account("enter", account, entry.member.len() + claim.map_or(0, str::len));
        let entering = Entering {
            entry: entry.clone(),
            claim: claim.map(str::to_owned),
            allowance: *allowance,
            now: self.clock.now(),
        };
        let account = account.to_owned();
        // What has no limit cannot be refused.
        if *allowance == Allowance::default() {
            let enter = move |tables: &mut Tables<'_>| Ok(entering.enter(&account, tables.ledgers()?)?);
            return self.file.write_behind(about, enter).await.map(Ok);
        }
        self.file.write(about, move |tables| Ok(entering.admit(&account, tables.ledgers()?)?)).await
    }

    async fn unclaim(&self, account: &str, claim: &str) -> Result<(), StateError> {
        let about = About::account("unclaim", account, claim.len());
        let (account, claim) = (account.to_owned(), claim.to_owned());
        let unclaim = move |tables: &mut Tables<'_>| Ok(tables.ledgers()?.forget_claim(&account, &claim)?);
        self.file.write_behind(about, unclaim).await
    }

    async fn strike(&self, account: &str, member: &str) -> Result<(), StateError> {
        let about = About::account("strike", account, member.len());
        let (account, member) = (account.to_owned(), member.to_owned());
        let strike = move |tables: &mut Tables<'_>| Ok(tables.ledgers()?.strike(&account, &member)?);
        self.file.write_behind(about, strike).await
    }

    async fn enter_all(&self, account: &str, entries: &[LedgerEntry]) -> Result<(), StateError> {
        let about = About::account("enter_all", account, entries.iter().map(|entry| entry.member.len()).sum());
        let is_one = entries.len() == 1;
        let (account, entries) = (account.to_owned(), entries.to_vec());
        let enter_all = move |tables: &mut Tables<'_>| {
            let tables = tables.ledgers()?;
            for entry in entries {
                let earlier = tables.find(&account, &entry.member)?;
                let at = earlier.map_or(entry.at, |(at, _)| at.max(entry.at));
                tables.enter(&account, &LedgerEntry { at, ..entry })?;
            }
            Ok(())
        };
        // Whoever rebuilds a ledger has to know whether it is there.
        if is_one { self.file.write_behind(about, enter_all).await } else { self.file.write(about, enter_all).await }
    }

    async fn move_up(&self, account: &str, times: &[(String, u64)]) -> Result<u64, StateError> {
        let about = About::account("move_up", account, 0);
        let (account, times) = (account.to_owned(), times.to_vec());
        let move_up = move |tables: &mut Tables<'_>| {
            let tables = tables.ledgers()?;
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
        self.file.write(about, move_up).await
    }

    async fn strike_unless_later(&self, account: &str, member: &str, at: u64) -> Result<bool, StateError> {
        let about = About::account("strike_unless_later", account, member.len());
        let (account, member) = (account.to_owned(), member.to_owned());
        let strike = move |tables: &mut Tables<'_>| {
            let tables = tables.ledgers()?;
            let is_due = tables.find(&account, &member)?.is_some_and(|(present, _)| present <= at);
            if is_due {
                tables.strike(&account, &member)?;
            }
            Ok(is_due)
        };
        self.file.write(about, strike).await
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
    /// Enters it if it is within the limits.
    fn admit(&self, account: &str, tables: &mut LedgerTables<'_>) -> Result<Result<(), Exceeded>, redb::StorageError> {
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
        self.enter(account, tables).map(Ok)
    }

    /// Enters it, whatever the limits are.
    fn enter(&self, account: &str, tables: &mut LedgerTables<'_>) -> Result<(), redb::StorageError> {
        if let Some(claim) = &self.claim {
            tables.forget_claim(account, claim)?;
        }
        tables.enter(account, &self.entry)
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
