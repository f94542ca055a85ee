//! Ledgers in Redis.

use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;

use super::{LARGEST_EXACT, RedisState, ledger_scripts as scripts, millis};
use crate::{Allowance, Exceeded, Holdings, LedgerEntry, Ledgers, StateError, ledger::slot_millis};

#[async_trait]
impl Ledgers for RedisState {
    async fn claim(
        &self,
        account: &str,
        claim: &str,
        bytes: u64,
        lifetime: Duration,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        let [sums, ..] = keys(&self.prefix, account);
        let arguments = (claim_field(claim), bytes.min(LARGEST_EXACT), millis(lifetime), &limits(allowance));
        Ok(admitted(self.link.invoke("claim", &scripts::CLAIM, &[sums], arguments).await?))
    }

    async fn enter(
        &self,
        account: &str,
        entry: &LedgerEntry,
        claim: Option<&str>,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        let (bytes, at) = (entry.bytes.min(LARGEST_EXACT), entry.at.min(LARGEST_EXACT));
        // No field has an empty name.
        let claim = claim.map_or_else(String::new, claim_field);
        let arguments = (&entry.member, bytes, at, claim, &limits(allowance));
        Ok(admitted(self.link.invoke("enter", &scripts::ENTER, &keys(&self.prefix, account), arguments).await?))
    }

    async fn unclaim(&self, account: &str, claim: &str) -> Result<(), StateError> {
        let [sums, ..] = keys(&self.prefix, account);
        self.query("unclaim", cmd("HDEL").arg(sums).arg(claim_field(claim))).await
    }

    async fn strike(&self, account: &str, member: &str) -> Result<(), StateError> {
        self.link.invoke("strike", &scripts::STRIKE, &keys(&self.prefix, account), member).await
    }

    async fn enter_all(&self, account: &str, entries: &[LedgerEntry]) -> Result<(), StateError> {
        let exact = |number: u64| number.min(LARGEST_EXACT);
        let rows: Vec<(&str, u64, u64)> =
            entries.iter().map(|entry| (entry.member.as_str(), exact(entry.bytes), exact(entry.at))).collect();
        self.link.invoke("enter_all", &scripts::ENTER_ALL, &keys(&self.prefix, account), rows).await
    }

    async fn move_up(&self, account: &str, times: &[(String, u64)]) -> Result<u64, StateError> {
        let [_, by_time, _] = keys(&self.prefix, account);
        let rows: Vec<(&str, u64)> =
            times.iter().map(|(member, at)| (member.as_str(), (*at).min(LARGEST_EXACT))).collect();
        self.link.invoke("move_up", &scripts::MOVE_UP, &[by_time], rows).await
    }

    async fn strike_unless_later(&self, account: &str, member: &str, at: u64) -> Result<bool, StateError> {
        let arguments = (member, at.min(LARGEST_EXACT));
        let step = &scripts::STRIKE_UNLESS_LATER;
        self.link.invoke("strike_unless_later", step, &keys(&self.prefix, account), arguments).await
    }

    async fn times(&self, account: &str, members: &[String]) -> Result<Vec<Option<u64>>, StateError> {
        let [_, by_time, _] = keys(&self.prefix, account);
        self.link.invoke("times", &scripts::TIMES, &[by_time], members).await
    }

    async fn holdings(&self, account: &str) -> Result<Holdings, StateError> {
        let [sums, ..] = keys(&self.prefix, account);
        let (bytes, files): (Option<u64>, Option<u64>) =
            self.query("holdings", cmd("HMGET").arg(sums).arg("bytes").arg("files")).await?;
        Ok(Holdings { bytes: bytes.unwrap_or(0), files: files.unwrap_or(0) })
    }

    async fn entries(
        &self,
        account: &str,
        newest_first: bool,
        from: usize,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StateError> {
        // To Redis, a last place of -1 is the end.
        let Some(last) = from.saturating_add(limit).checked_sub(1).filter(|_| limit > 0) else {
            return Ok(Vec::new());
        };
        let [_, by_time, bytes] = keys(&self.prefix, account);
        let arguments = (if newest_first { "ZREVRANGE" } else { "ZRANGE" }, place(from), place(last));
        let rows: Vec<(String, u64, u64)> =
            self.link.invoke("entries", &scripts::ENTRIES_BY_TIME, &[by_time, bytes], arguments).await?;
        Ok(rows.into_iter().map(|(member, bytes, at)| LedgerEntry { member, bytes, at }).collect())
    }
}

/// The keys of an account, in the order in which the scripts know them. The braces make a cluster
/// keep them together: it looks only at what is between the first pair, which is never empty.
fn keys(prefix: &str, account: &str) -> [String; 3] {
    ["", ":at", ":bytes"].map(|end| format!("{prefix}ledger:{{account:{account}}}{end}"))
}

fn claim_field(claim: &str) -> String {
    format!("c:{claim}")
}

/// Bytes, files, bytes of the period, its length and that of its slots; empty if not limited.
fn limits(allowance: &Allowance) -> [String; 5] {
    let period = allowance.most_bytes_per_period.map(|(most, period)| (most, millis(period)));
    [
        allowance.most_bytes,
        allowance.most_files,
        period.map(|(most, _)| most),
        period.map(|(_, period)| period),
        period.map(|(_, period)| slot_millis(period)),
    ]
    .map(|limit| limit.map_or_else(String::new, |limit| limit.to_string()))
}

/// What the scripts answer, read.
fn admitted(answer: i64) -> Result<(), Exceeded> {
    match answer {
        0 => Ok(()),
        -1 => Err(Exceeded::Bytes),
        -2 => Err(Exceeded::Files),
        wait => Err(Exceeded::Period { retry_after: Duration::from_millis(wait.unsigned_abs()) }),
    }
}

fn place(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cluster places a key by, as its specification says.
    fn placed_by(key: &str) -> &str {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
    }

    #[test]
    fn a_cluster_keeps_an_account_together_and_accounts_apart() {
        let accounts = ["@alice:example.org", "", "}", "{", "{}", "a}b", "a}b}:at", "a}b:bytes", "é", "a\0\r\n"];
        for prefix in ["heliograph:", "", "odd{prefix", "odd}prefix", "{ours}:"] {
            for account in accounts {
                let keys = keys(prefix, account);

                assert!(keys.iter().all(|key| placed_by(key) == placed_by(&keys[0])), "{keys:?}");
            }
        }
        let mut all: Vec<String> = accounts.iter().flat_map(|account| keys("", account)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 3 * accounts.len());
    }
}
