//! Copies of remote media go when nobody reads them, or when there is no room: the one first that
//! was not read for longest. They can be fetched again.
//!
//! Which that is, the ledger of the copies says. One instance at a time works, in batches, under
//! a lease; two at once would be harmless: each copy is taken out of the ledger by one of them.

mod config;
mod removal;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use heliograph_catalog::RemoteCopy;
use heliograph_leases::{Lease, StateError};
use heliograph_types::{Failure, Timestamp};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use self::config::RemoteCopiesConfig;
use self::removal::{Fate, remove};
use crate::{actors::registry::Shared, metrics};

/// Who evicts, and for how long without renewal.
const EVICTOR: &str = "eviction";
const EVICTOR_TTL: Duration = Duration::from_mins(1);
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// Copies that are removed at once.
const AT_ONCE: usize = 8;

/// Why a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nobody has read it for long.
    Idle,
    /// Others need its room.
    Space,
    /// An administrator wants it.
    Purge,
}

/// Which copies go.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Those that were read before this, and why.
    read_before: Option<(Timestamp, Reason)>,
    /// As many as it takes until all together have no more bytes.
    max_bytes: Option<u64>,
    /// Never those that were read since: somebody may be reading them.
    spared_from: Timestamp,
}

/// Looks for what may go now and then until shutdown; what is being removed then is finished.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(sleep(shared.copies_config.check_every)).await.is_some() {
        if let Err(failure) = look(&shared, &shutdown).await {
            tracing::warn!(%failure, "copies of remote media stay for now");
        }
    }
}

/// One look, which removes all that may go. Until the ledger is complete nothing does.
pub(crate) async fn look(shared: &Shared, shutdown: &CancellationToken) -> Result<(), Failure> {
    let Some(complete_since) = shared.accounts.complete_since().await.map_err(unknown)? else { return Ok(()) };
    let total = shared.accounts.copies().total().await.map_err(unknown)?;
    metrics::remote_copies(&total);
    let limits = limits(&shared.copies_config, shared.clock.now(), complete_since);
    if limits.read_before.is_none() && limits.max_bytes.is_none() {
        return Ok(());
    }
    let Some(lease) = shared.state.try_acquire(EVICTOR, EVICTOR_TTL).await.map_err(unknown)? else { return Ok(()) };
    let stop = shutdown.child_token();
    let outcome = tokio::select! {
        outcome = evict(shared, &limits, &stop) => outcome,
        () = renew_until_lost(shared, &lease, &stop) => Ok(0),
    };
    if let Err(error) = shared.state.release(&lease).await {
        tracing::debug!(key = lease.key, %error, "lease left to expire");
    }
    outcome.map(drop)
}

/// Removes the copies that were not read since `before`, whoever else evicts; says how many. What
/// somebody may be reading stays.
pub(crate) async fn purge(shared: &Shared, before: Timestamp) -> Result<u64, Failure> {
    if shared.accounts.complete_since().await.map_err(unknown)?.is_none() {
        return Err(Failure::unavailable("what there is of remote media is being counted anew"));
    }
    let spared_from = shared.clock.now() - shared.copies_config.keep_recent_for;
    let limits = Limits { read_before: Some((before, Reason::Purge)), max_bytes: None, spared_from };
    evict(shared, &limits, &CancellationToken::new()).await
}

/// What was read before the ledger was complete, nobody knows: for reads to count, they must have
/// been noted for as long as a copy may go without.
fn limits(config: &RemoteCopiesConfig, now: Timestamp, complete_since: Timestamp) -> Limits {
    let read_before = config.unused_for.map(|span| now - span).filter(|before| complete_since <= *before);
    Limits {
        read_before: read_before.map(|before| (before, Reason::Idle)),
        max_bytes: config.max_bytes.map(|bytes| bytes.as_u64()),
        spared_from: now - config.keep_recent_for,
    }
}

/// Removes batch after batch, until nothing may go or `stop`; says how many copies.
async fn evict(shared: &Shared, limits: &Limits, stop: &CancellationToken) -> Result<u64, Failure> {
    let mut removed = 0;
    while !stop.is_cancelled() {
        let began_at = Instant::now();
        let batch = next_batch(shared, limits).await.map_err(unknown)?;
        let fates: Vec<Fate> = stream::iter(batch)
            .take_while(|_| std::future::ready(!stop.is_cancelled()))
            .map(|(copy, reason)| remove(shared, copy, reason))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        removed += fates.iter().map(|fate| u64::from(*fate == Fate::Removed)).sum::<u64>();
        // What cannot go now would come again at once.
        if fates.iter().all(|fate| *fate == Fate::Stays) {
            break;
        }
        // Half of the time is left to those who read.
        let _: Option<()> = stop.run_until_cancelled(sleep(began_at.elapsed())).await;
    }
    if removed > 0 {
        tracing::info!(removed, "removed copies of remote media");
    }
    Ok(removed)
}

async fn next_batch(shared: &Shared, limits: &Limits) -> Result<Vec<(RemoteCopy, Reason)>, StateError> {
    let copies = shared.accounts.copies();
    let total = copies.total().await?;
    metrics::remote_copies(&total);
    let oldest = copies.oldest(shared.copies_config.batch.get()).await?;
    Ok(choose(oldest, total.bytes, limits))
}

/// Those that go, of the oldest first.
fn choose(oldest: Vec<RemoteCopy>, mut total_bytes: u64, limits: &Limits) -> Vec<(RemoteCopy, Reason)> {
    let mut chosen = Vec::new();
    for copy in oldest {
        let due = limits.read_before.filter(|(before, _)| copy.read_at < *before).map(|(_, reason)| reason);
        let is_over = limits.max_bytes.is_some_and(|most| total_bytes > most);
        let Some(reason) = due.or(is_over.then_some(Reason::Space)).filter(|_| copy.read_at < limits.spared_from)
        else {
            break;
        };
        total_bytes = total_bytes.saturating_sub(copy.size_bytes);
        chosen.push((copy, reason));
    }
    chosen
}

/// Holds on to the lease as long as it is ours. Then no further copy is begun: those that are
/// being removed are removed to the end, so this never returns.
async fn renew_until_lost(shared: &Shared, lease: &Lease, stop: &CancellationToken) {
    loop {
        sleep(RENEW_EVERY).await;
        // Without an answer we do not know: the next renewal will tell.
        if let Ok(false) = shared.state.renew(lease, EVICTOR_TTL).await {
            stop.cancel();
            std::future::pending::<()>().await;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn unknown(error: StateError) -> Failure {
    Failure::unavailable(format!("what there is of remote media is not known: {error}"))
}

#[cfg(test)]
mod tests {
    use heliograph_catalog::Copies;
    use heliograph_leases::{EmbeddedState, LedgerEntry, State};
    use heliograph_types::ManualClock;

    use super::*;

    /// Copies of these sizes, read at 0, 10, 20 and so on.
    fn oldest(sizes: &[u64]) -> Vec<RemoteCopy> {
        let entry = |(n, bytes): (usize, &u64)| LedgerEntry { member: n.to_string(), bytes: *bytes, at: n as u64 * 10 };
        sizes.iter().enumerate().map(entry).map(RemoteCopy::from).collect()
    }

    fn chosen(sizes: &[u64], total_bytes: u64, limits: &Limits) -> Vec<(u64, Reason)> {
        let chosen = choose(oldest(sizes), total_bytes, limits);
        chosen.into_iter().map(|(copy, reason)| (copy.read_at.as_millis() / 10, reason)).collect()
    }

    fn limits_of(read_before: Option<u64>, max_bytes: Option<u64>, spared_from: u64) -> Limits {
        let read_before = read_before.map(|at| (Timestamp::from_millis(at), Reason::Idle));
        Limits { read_before, max_bytes, spared_from: Timestamp::from_millis(spared_from) }
    }

    #[test]
    fn what_was_not_read_for_long_goes_and_no_more_than_there_is_no_room_for() {
        use Reason::{Idle, Space};
        let sizes = [5, 1, 1, 9, 1];

        for (limits, expected) in [
            (limits_of(None, None, 1000), &[][..]),
            (limits_of(Some(0), None, 1000), &[]),
            (limits_of(Some(1), None, 1000), &[(0, Idle)]),
            (limits_of(Some(20), None, 1000), &[(0, Idle), (1, Idle)]),
            (limits_of(Some(1000), None, 20), &[(0, Idle), (1, Idle)]),
            (limits_of(None, Some(17), 1000), &[]),
            (limits_of(None, Some(16), 1000), &[(0, Space)]),
            (limits_of(None, Some(12), 1000), &[(0, Space)]),
            (limits_of(None, Some(11), 1000), &[(0, Space), (1, Space)]),
            (limits_of(None, Some(10), 1000), &[(0, Space), (1, Space), (2, Space)]),
            (limits_of(None, Some(0), 25), &[(0, Space), (1, Space), (2, Space)]),
            (limits_of(Some(11), Some(10), 1000), &[(0, Idle), (1, Idle), (2, Space)]),
            (limits_of(Some(31), Some(16), 1000), &[(0, Idle), (1, Idle), (2, Idle), (3, Idle)]),
        ] {
            assert_eq!(chosen(&sizes, 17, &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn nobody_is_idle_for_longer_than_reads_were_noted() {
        let hours = |hours: u64| Timestamp::from_millis(hours * 3_600_000);
        let config = RemoteCopiesConfig { unused_for: Some(Duration::from_hours(10)), ..RemoteCopiesConfig::default() };

        let read_before = |complete_since| limits(&config, hours(100), complete_since).read_before;

        assert_eq!(read_before(hours(90)), Some((hours(90), Reason::Idle)));
        assert_eq!(read_before(hours(91)), None);
    }

    #[tokio::test]
    async fn the_ledger_gives_the_copies_in_the_order_of_their_reads() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let state: State = Arc::new(EmbeddedState::in_memory(clock).unwrap());
        let copies = Copies::new(State::clone(&state));
        for copy in oldest(&[1, 2, 3]) {
            let member = format!("mxc://far.example/{}", copy.size_bytes);
            let entry = LedgerEntry { member, bytes: copy.size_bytes, at: copy.read_at.as_millis() };
            state.enter_all("remote copies", &[entry]).await.unwrap();
        }

        let read = "mxc://far.example/1".parse().unwrap();
        let unknown = "mxc://far.example/none".parse().unwrap();
        let noted =
            copies.note_read(&[(read, Timestamp::from_millis(99)), (unknown, Timestamp::from_millis(99))]).await;

        assert_eq!(noted.unwrap(), 1);
        let sizes: Vec<u64> = copies.oldest(10).await.unwrap().iter().map(|copy| copy.size_bytes).collect();
        assert_eq!(sizes, [2, 3, 1]);
    }
}
