//! What we know of one remote origin, and what may be asked of it now. Pure.
//!
//! Owns: which media are being fetched, which wait for their turn, which failed and why,
//! and how long the origin is to be left alone. Knows no clock and no I/O.

use std::{
    collections::{HashSet, VecDeque},
    num::NonZeroUsize,
    time::Duration,
};

use heliograph_types::{ErrorCode, Failure, MediaId, Timestamp};
use lru::LruCache;

use crate::verdict::OUT_OF_REACH;

/// Failed media remembered per origin, about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// How much is asked of one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Fetches in progress.
    pub(crate) running: usize,
    /// Fetches that wait.
    pub(crate) queued: usize,
    /// How long the origin is left alone after its first failure.
    pub(crate) backoff_min: Duration,
    /// The longest time that it is left alone.
    pub(crate) backoff_max: Duration,
}

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is being fetched, or waits already.
    Join,
    /// Start it now.
    Start,
    /// It waits for its turn.
    Wait,
    /// Not now, and why.
    Refuse(Failure),
    /// Not now: no place is free, not even one to wait.
    Full,
}

/// How a fetch ended, as far as the origin is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The origin answered as it should, be it with a "not yet".
    Answered,
    /// This medium is not to be asked for again for so long.
    MediaFailed(Failure, Duration),
    /// The origin asks to be left alone for so long.
    Throttled(Duration),
    /// The origin is out of reach or broken.
    OriginFailed,
    /// It was our fault: says nothing about the origin.
    Ours,
}

/// What is to be done after a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Next {
    /// Start these.
    pub(crate) start: Vec<MediaId>,
    /// Those that waited fail.
    pub(crate) fail: Vec<(MediaId, Failure)>,
}

/// One origin.
///
/// # Invariants
///
/// No medium is both running and waiting. Something waits only if all places are taken.
#[derive(Debug)]
pub(crate) struct Origin {
    limits: Limits,
    running: HashSet<MediaId>,
    waiting: VecDeque<MediaId>,
    failed: LruCache<MediaId, (Failure, Timestamp)>,
    failures: u32,
    alone_until: Timestamp,
}

impl Origin {
    /// An origin of which nothing is known.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: HashSet::new(),
            waiting: VecDeque::new(),
            failed: LruCache::new(REMEMBERED),
            failures: 0,
            alone_until: Timestamp::default(),
        }
    }

    /// Somebody wants a medium.
    pub(crate) fn want(&mut self, media_id: &MediaId, now: Timestamp) -> Admission {
        if self.running.contains(media_id) || self.waiting.contains(media_id) {
            return Admission::Join;
        }
        if let Some(failure) = self.find_failure(media_id, now).or_else(|| self.find_reason_to_wait(now)) {
            return Admission::Refuse(failure);
        }
        if self.running.len() < self.limits.running {
            self.running.insert(media_id.clone());
            return Admission::Start;
        }
        if self.waiting.len() < self.limits.queued {
            self.waiting.push_back(media_id.clone());
            return Admission::Wait;
        }
        Admission::Full
    }

    /// A fetch has ended. `luck`, from 0 to 1, spreads those who come back.
    pub(crate) fn finished(&mut self, media_id: &MediaId, outcome: Outcome, now: Timestamp, luck: f64) -> Next {
        self.running.remove(media_id);
        match outcome {
            Outcome::Answered => self.failures = 0,
            Outcome::MediaFailed(failure, span) => {
                self.failures = 0;
                self.failed.put(media_id.clone(), (failure, now + span));
            }
            Outcome::Throttled(span) => self.leave_alone(now + span.min(self.limits.backoff_max)),
            // What fails while the origin is left alone began before: it is the same outage.
            Outcome::OriginFailed if now < self.alone_until => {}
            Outcome::OriginFailed => {
                self.leave_alone(now + self.backoff(luck));
                self.failures = self.failures.saturating_add(1);
            }
            Outcome::Ours => {}
        }
        self.next(now)
    }

    /// True if somebody waits for a fetch.
    pub(crate) fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// True if forgetting all of this would change nothing.
    pub(crate) fn is_idle(&self, now: Timestamp) -> bool {
        let remembers = self.failed.iter().any(|(_, (_, until))| now < *until);
        !self.is_busy() && !remembers && self.alone_until <= now
    }

    fn leave_alone(&mut self, until: Timestamp) {
        self.alone_until = self.alone_until.max(until);
    }

    /// Doubles with each failure; 50 to 100 % of it.
    fn backoff(&self, luck: f64) -> Duration {
        let whole = self.limits.backoff_min.saturating_mul(1 << self.failures.min(20)).min(self.limits.backoff_max);
        whole.mul_f64(0.5 + luck.clamp(0.0, 1.0) / 2.0)
    }

    fn find_failure(&mut self, media_id: &MediaId, now: Timestamp) -> Option<Failure> {
        let (failure, until) = self.failed.get(media_id)?;
        if now < *until {
            return Some(failure.clone());
        }
        self.failed.pop(media_id);
        None
    }

    fn find_reason_to_wait(&self, now: Timestamp) -> Option<Failure> {
        let left = self.alone_until.since(now);
        let failure = || Failure::new(ErrorCode::BadGateway, OUT_OF_REACH).retry_after(left);
        (!left.is_zero()).then(failure)
    }

    fn next(&mut self, now: Timestamp) -> Next {
        let mut next = Next::default();
        if let Some(failure) = self.find_reason_to_wait(now) {
            next.fail = self.waiting.drain(..).map(|media_id| (media_id, failure.clone())).collect();
            return next;
        }
        while self.running.len() < self.limits.running
            && let Some(media_id) = self.waiting.pop_front()
        {
            self.running.insert(media_id.clone());
            next.start.push(media_id);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits =
        Limits { running: 2, queued: 2, backoff_min: Duration::from_secs(2), backoff_max: Duration::from_mins(1) };
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(number: u8) -> MediaId {
        format!("m{number}").parse().unwrap()
    }

    fn busy() -> Origin {
        let mut origin = Origin::new(LIMITS);
        for (number, expected) in
            [Admission::Start, Admission::Start, Admission::Wait, Admission::Wait].iter().enumerate()
        {
            assert_eq!(&origin.want(&id(u8::try_from(number).unwrap()), NOW), expected);
        }
        origin
    }

    fn refused(admission: Admission) -> ErrorCode {
        match admission {
            Admission::Refuse(failure) => failure.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_fill_then_the_queue_and_then_it_is_refused() {
        let mut origin = busy();

        assert_eq!(origin.want(&id(9), NOW), Admission::Full);
        assert_eq!(origin.want(&id(0), NOW), Admission::Join);
        assert_eq!(origin.want(&id(3), NOW), Admission::Join);
    }

    #[test]
    fn who_waits_starts_in_order_when_a_place_is_free() {
        let mut origin = busy();

        assert_eq!(origin.finished(&id(1), Outcome::Answered, NOW, 0.0).start, [id(2)]);
        assert_eq!(origin.finished(&id(0), Outcome::Ours, NOW, 0.0).start, [id(3)]);
        assert_eq!(origin.finished(&id(2), Outcome::Answered, NOW, 0.0), Next::default());
    }

    #[test]
    fn a_failed_medium_is_remembered_with_its_reason_until_it_expires() {
        let mut origin = Origin::new(LIMITS);
        origin.want(&id(0), NOW);
        origin.finished(&id(0), Outcome::MediaFailed(Failure::not_found(), Duration::from_secs(10)), NOW, 0.0);

        assert_eq!(origin.want(&id(0), NOW), Admission::Refuse(Failure::not_found()));
        assert_eq!(origin.want(&id(1), NOW), Admission::Start, "other media are not concerned");
        assert_eq!(origin.want(&id(0), NOW + Duration::from_secs(10)), Admission::Start);
    }

    #[test]
    fn a_failing_origin_is_left_alone_for_longer_each_time_within_bounds() {
        let mut origin = Origin::new(LIMITS);
        let mut now = NOW;
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(origin.want(&id(0), now), Admission::Start);
            origin.finished(&id(0), Outcome::OriginFailed, now, 1.0);
            now = now + Duration::from_secs(expected) - Duration::from_millis(1);
            assert_eq!(refused(origin.want(&id(1), now)), ErrorCode::BadGateway);
            now = now + Duration::from_millis(1);
        }
        origin.want(&id(0), now);
        origin.finished(&id(0), Outcome::Answered, now, 1.0);
        origin.want(&id(0), now);
        origin.finished(&id(0), Outcome::OriginFailed, now, 0.0);
        assert_eq!(
            origin.want(&id(0), now + Duration::from_secs(1)),
            Admission::Start,
            "an answer resets it; luck halves"
        );
    }

    #[test]
    fn fetches_that_fail_together_are_one_failure() {
        let mut origin = busy();
        for number in 0..2 {
            origin.finished(&id(number), Outcome::OriginFailed, NOW, 1.0);
        }

        let next = NOW + Duration::from_secs(2);
        assert_eq!(origin.want(&id(0), next), Admission::Start, "left alone as after the first");
        origin.finished(&id(0), Outcome::OriginFailed, next, 1.0);
        assert_eq!(origin.want(&id(0), next + Duration::from_secs(4)), Admission::Start, "the second failure");
    }

    #[test]
    fn who_waits_for_a_failing_origin_fails_with_it() {
        for outcome in [Outcome::OriginFailed, Outcome::Throttled(Duration::from_secs(7))] {
            let mut origin = busy();

            let next = origin.finished(&id(0), outcome, NOW, 1.0);

            assert!(next.start.is_empty());
            let failed: Vec<_> = next.fail.iter().map(|(id, failure)| (id.clone(), failure.code)).collect();
            assert_eq!(failed, [(id(2), ErrorCode::BadGateway), (id(3), ErrorCode::BadGateway)]);
            assert!(next.fail[0].1.retry_after.is_some());
            assert_eq!(origin.want(&id(1), NOW), Admission::Join, "what runs goes on");
        }
    }

    #[test]
    fn a_throttle_is_obeyed_within_our_bound() {
        let mut origin = Origin::new(LIMITS);
        origin.want(&id(0), NOW);
        origin.finished(&id(0), Outcome::Throttled(Duration::from_secs(9999)), NOW, 0.0);

        assert_eq!(refused(origin.want(&id(0), NOW + Duration::from_secs(59))), ErrorCode::BadGateway);
        assert_eq!(origin.want(&id(0), NOW + Duration::from_mins(1)), Admission::Start);
    }

    #[test]
    fn an_origin_is_idle_when_nothing_is_known_of_it() {
        let mut origin = Origin::new(LIMITS);
        assert!(origin.is_idle(NOW));
        origin.want(&id(0), NOW);
        assert!(!origin.is_idle(NOW));
        origin.finished(&id(0), Outcome::OriginFailed, NOW, 1.0);
        assert!(!origin.is_idle(NOW) && origin.is_idle(NOW + Duration::from_secs(2)));
        origin.want(&id(1), NOW + Duration::from_secs(2));
        let memory = Outcome::MediaFailed(Failure::not_found(), Duration::from_secs(10));
        origin.finished(&id(1), memory, NOW + Duration::from_secs(2), 1.0);
        assert!(!origin.is_idle(NOW + Duration::from_secs(11)) && origin.is_idle(NOW + Duration::from_secs(12)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Want(u8),
        Finish(usize, u8),
        Pass(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..8).prop_map(Step::Want),
            (0usize..4, 0u8..5).prop_map(|(which, outcome)| Step::Finish(which, outcome)),
            (0u16..5000).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..120)
    }

    fn outcome(number: u8) -> Outcome {
        match number {
            0 => Outcome::Answered,
            1 => Outcome::MediaFailed(Failure::not_found(), Duration::from_secs(1)),
            2 => Outcome::Throttled(Duration::from_secs(1)),
            3 => Outcome::OriginFailed,
            _ => Outcome::Ours,
        }
    }

    proptest! {
        /// Whatever happens: bounds hold, nobody waits beside a free place, and everybody
        /// who was let in is started or failed exactly once.
        #[test]
        fn no_wish_is_lost_and_no_bound_is_broken(steps in steps()) {
            let (mut origin, mut now) = (Origin::new(LIMITS), NOW);
            let (mut running, mut waiting): (Vec<MediaId>, Vec<MediaId>) = Default::default();
            for step in steps {
                match step {
                    Step::Want(number) => match origin.want(&id(number), now) {
                        Admission::Join => prop_assert!(running.contains(&id(number)) || waiting.contains(&id(number))),
                        Admission::Start => running.push(id(number)),
                        Admission::Wait => waiting.push(id(number)),
                        Admission::Refuse(_) | Admission::Full => {}
                    },
                    Step::Finish(which, number) if which < running.len() => {
                        let media_id = running.remove(which);
                        let next = origin.finished(&media_id, outcome(number), now, 0.5);
                        for media_id in next.start.iter().chain(next.fail.iter().map(|(id, _)| id)) {
                            let place = waiting.iter().position(|waits| waits == media_id);
                            prop_assert_eq!(place, Some(0), "in order");
                            waiting.remove(0);
                        }
                        running.extend(next.start);
                    }
                    Step::Finish(..) => {}
                    Step::Pass(millis) => now = now + Duration::from_millis(millis.into()),
                }
                prop_assert!(running.len() <= LIMITS.running && waiting.len() <= LIMITS.queued);
                prop_assert!(waiting.is_empty() || running.len() == LIMITS.running);
            }
        }
    }
}
