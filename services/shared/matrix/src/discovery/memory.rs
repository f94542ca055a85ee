//! What is remembered of a well-known answer, and for how long; and how instances share it.

use std::time::Duration;

use bytes::Bytes;
use heliograph_leases::State;
use heliograph_types::{ServerName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::well_known::Answer;

/// The first failure is believed for this long, each further one for twice as long.
const FIRST_FAILURE: Duration = Duration::from_mins(1);
const LONGEST_FAILURE: Duration = Duration::from_hours(1);
/// How much longer a good answer is used while its server fails to repeat it.
const STALE: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(48);

/// What a host said, or that it said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) delegate: Option<ServerName>,
    pub(super) media_server: Option<ServerName>,
    pub(super) believed_until: Timestamp,
    /// A good answer outlives failures to repeat it until then.
    usable_until: Timestamp,
    failures: u32,
}

/// What to remember after an answer. `luck` from 0 to 1 spreads the next questions.
pub(super) fn next_entry(old: Option<&Remembered>, answer: Option<Answer>, now: Timestamp, luck: f64) -> Remembered {
    if let Some(Answer { server, media_server, fresh_for }) = answer {
        // For all but media it is a failure.
        let longest = if server.is_some() { LONGEST } else { LONGEST_FAILURE };
        let believed_until = now + jittered(fresh_for, luck).min(longest);
        let usable_until = believed_until + STALE;
        return Remembered { delegate: server, media_server, believed_until, usable_until, failures: 0 };
    }
    let failures = old.map_or(0, |old| old.failures);
    let pause = FIRST_FAILURE.saturating_mul(1 << failures.min(10)).min(LONGEST_FAILURE);
    let still_good = old.filter(|old| now < old.usable_until);
    Remembered {
        delegate: still_good.and_then(|old| old.delegate.clone()),
        media_server: still_good.and_then(|old| old.media_server.clone()),
        believed_until: now + jittered(pause, luck).min(LONGEST_FAILURE),
        usable_until: still_good.map_or(now, |old| old.usable_until),
        failures: failures.saturating_add(1),
    }
}

/// 90 to 110 %.
fn jittered(span: Duration, luck: f64) -> Duration {
    span.mul_f64(0.9 + 0.2 * luck.clamp(0.0, 1.0))
}

/// What another instance remembers; it may be too old to be believed.
pub(super) async fn find_shared(state: &State, host: &str, now: Timestamp) -> Option<Remembered> {
    let found = state.find_cached(&key(host)).await;
    let found = found.inspect_err(|error| tracing::debug!(%error, "well-known answers are not shared")).ok()??;
    let mut found: Remembered = serde_json::from_slice(&found).ok()?;
    // The clock of who asked may be far ahead of ours.
    found.believed_until = found.believed_until.min(now + LONGEST);
    found.usable_until = found.usable_until.min(now + LONGEST + STALE);
    Some(found)
}

/// Tells the others, for no longer than it can be used: strangers make up names.
pub(super) async fn share(state: &State, host: &str, entry: &Remembered, now: Timestamp) {
    let ttl = entry.usable_until.max(entry.believed_until).since(now);
    let Ok(value) = serde_json::to_vec(entry) else { return };
    if let Err(error) = state.cache(&key(host), Bytes::from(value), ttl).await {
        tracing::debug!(%error, "well-known answers are not shared");
    }
}

fn key(host: &str) -> String {
    format!("well-known:{}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn answer(server: Option<&str>, fresh_for: Duration) -> Answer {
        let media_server = Some("m".parse().unwrap());
        Answer { server: server.map(|name| name.parse().unwrap()), media_server, fresh_for }
    }

    fn believed_for(entry: &Remembered, now: Timestamp) -> Duration {
        entry.believed_until.since(now)
    }

    #[test]
    fn no_luck_makes_an_answer_last_longer_than_the_longest() {
        for luck in [0.0, 0.5, 1.0] {
            let longest = next_entry(None, Some(answer(Some("a"), LONGEST)), NOW, luck);
            assert!(believed_for(&longest, NOW) <= LONGEST && believed_for(&longest, NOW) >= LONGEST.mul_f64(0.89));
        }
        let day = next_entry(None, Some(answer(Some("a"), LONGEST / 2)), NOW, 1.0);
        assert_eq!(believed_for(&day, NOW).as_secs(), (LONGEST / 2).mul_f64(1.1).as_secs());
    }

    #[test]
    fn failures_are_believed_for_twice_as_long_each_time_up_to_an_hour() {
        let mut entry = None;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let next = next_entry(entry.as_ref(), None, NOW, 0.5);
            pauses.push(believed_for(&next, NOW).as_secs() / 60);
            entry = Some(next);
        }

        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(believed_for(&next_entry(entry.as_ref(), None, NOW, 1.0), NOW) <= LONGEST_FAILURE);
    }

    #[test]
    fn a_good_answer_outlives_failures_for_a_while() {
        let good = next_entry(None, Some(answer(Some("a"), LONGEST)), NOW, 0.5);
        let soon = good.believed_until + Duration::from_mins(1);

        let kept = next_entry(Some(&good), None, soon, 0.5);
        let gone = next_entry(Some(&kept), None, soon + STALE, 0.5);

        assert_eq!((&kept.delegate, &kept.media_server), (&good.delegate, &good.media_server));
        assert_eq!((gone.delegate, gone.media_server), (None, None));
    }

    #[test]
    fn a_document_for_media_alone_is_a_failure_for_the_rest() {
        let entry = next_entry(None, Some(answer(None, LONGEST)), NOW, 0.5);

        assert_eq!(entry.delegate, None);
        assert!(entry.media_server.is_some() && believed_for(&entry, NOW) <= LONGEST_FAILURE);
    }
}
