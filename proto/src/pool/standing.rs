//! What is thought of one instance: pure, the time is given.

use std::time::Duration;

use tokio::time::Instant;

/// How long an instance is left out when it has failed for the first time; then twice as long
/// each time.
const FIRST: Duration = Duration::from_millis(250);
/// And never longer: so late is it noticed at most that it is back.
const LONGEST: Duration = Duration::from_secs(10);
/// How long an instance is left out that has said that it ends: until the name does not list it
/// any more, or another process has its address.
const LEAVING: Duration = Duration::from_secs(10);

/// Whether calls go to an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known against it.
    #[default]
    Good,
    /// It has failed, or ends: calls go elsewhere until then.
    Out { until: Instant, span: Duration },
    /// One call finds out whether it is back; the others go elsewhere meanwhile.
    Tried { until: Instant, span: Duration },
}

impl Standing {
    /// Whether a call may go there now. When its time is over, one may, and finds out.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match *self {
            Self::Good => true,
            Self::Out { until, span } | Self::Tried { until, span } if now >= until => {
                *self = Self::Tried { until: now + span, span };
                true
            }
            Self::Out { .. } | Self::Tried { .. } => false,
        }
    }

    pub(super) fn is_out(&self) -> bool {
        *self != Self::Good
    }

    /// It could not be reached, or the connection broke. All calls that were there at once are one
    /// failure.
    pub(super) fn fail(&mut self, now: Instant) {
        let span = match *self {
            Self::Good => FIRST,
            Self::Out { .. } => return,
            Self::Tried { span, .. } => (span * 2).min(LONGEST),
        };
        *self = Self::Out { until: now + span, span };
    }

    /// It has answered.
    pub(super) fn succeed(&mut self, _: Instant) {
        *self = Self::Good;
    }

    /// It has answered, and said that it ends.
    pub(super) fn leave(&mut self, now: Instant) {
        *self = Self::Out { until: now + LEAVING, span: FIRST };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_fails_is_left_out_for_a_growing_time() {
        let (mut standing, mut now) = (Standing::default(), Instant::now());
        standing.fail(now);

        let mut spans = Vec::new();
        for _ in 0..8 {
            let left_out_at = now;
            while !standing.admit(now) {
                now += FIRST;
            }
            spans.push(now - left_out_at);
            standing.fail(now);
        }

        let expected = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000].map(Duration::from_millis);
        assert_eq!(spans, expected);
    }

    #[test]
    fn many_calls_that_fail_at_once_are_one_failure() {
        let (mut standing, now) = (Standing::default(), Instant::now());

        for _ in 0..100 {
            standing.fail(now);
        }

        assert_eq!(standing, Standing::Out { until: now + FIRST, span: FIRST });
    }

    #[test]
    fn one_call_finds_out_whether_it_is_back_and_the_others_go_elsewhere() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.fail(now);

        let later = now + FIRST;
        let admitted = (0..10).filter(|_| standing.admit(later)).count();
        assert_eq!(admitted, 1);
        // Should it never come to an end, another one is let through.
        assert!(standing.admit(later + FIRST));
        standing.succeed(later);

        assert!(standing.admit(later + FIRST) && !standing.is_out());
    }

    #[test]
    fn who_ends_is_left_out_although_it_answers() {
        let (mut standing, now) = (Standing::default(), Instant::now());

        standing.leave(now);

        assert!(standing.is_out() && !standing.admit(now) && standing.admit(now + LEAVING));
    }
}
