//! The machine of an origin, state by state and at random.

use proptest::prelude::*;

use super::*;
use crate::verdict::{FetchError, Memory};

const LIMITS: Limits = Limits {
    running: 2,
    queued: 2,
    backoff_min: Duration::from_secs(2),
    backoff_max: Duration::from_mins(1),
    bytes: 1000,
    period: Duration::from_secs(10),
};
const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn id(number: u8) -> MediaId {
    format!("m{number}").parse().unwrap()
}

fn busy() -> Origin {
    let mut origin = Origin::new(LIMITS);
    for (number, expected) in [Admission::Start, Admission::Start, Admission::Wait, Admission::Wait].iter().enumerate()
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
    assert_eq!(origin.want(&id(0), now + Duration::from_secs(1)), Admission::Start, "an answer resets it; luck halves");
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

/// An origin that has failed `failures` times, the last of them at the time given back.
fn failing(failures: u32) -> (Origin, Timestamp) {
    let (mut origin, mut now) = (Origin::new(LIMITS), NOW);
    for nth in 0..failures {
        now = now + if nth == 0 { Duration::ZERO } else { LIMITS.backoff_max };
        assert_eq!(origin.want(&id(9), now), Admission::Start);
        origin.finished(&id(9), Outcome::OriginFailed, now, 1.0);
    }
    (origin, now)
}

/// One fetch goes through, and two more wait for it.
fn half_open() -> (Origin, Timestamp) {
    let (mut origin, failed_at) = failing(1);
    let now = failed_at + LIMITS.backoff_min;
    let admitted = [0, 1, 2, 3].map(|number| origin.want(&id(number), now));
    assert_eq!(admitted, [Admission::Start, Admission::Wait, Admission::Wait, Admission::Full]);
    assert!(origin.is_probe(&id(0)) && !origin.is_probe(&id(1)));
    (origin, now)
}

#[test]
fn after_a_failure_one_fetch_is_the_probe_and_the_others_start_when_it_is_answered() {
    let (mut origin, now) = half_open();
    assert_eq!(origin.want(&id(0), now), Admission::Join);

    assert_eq!(origin.answered(&id(0), now).start, [id(1)], "within the places that there are");
    assert!(!origin.is_probe(&id(0)) && !origin.is_probe(&id(1)));

    assert_eq!(origin.finished(&id(0), Outcome::Answered, now, 0.0).start, [id(2)]);
}

#[test]
fn what_ends_a_probe_decides_about_those_who_wait() {
    let missing = Outcome::MediaFailed(Failure::not_found(), Duration::from_secs(1));
    for (outcome, starts, fails, probes) in [
        (Outcome::Answered, 2, 0, false),
        (missing, 2, 0, false),
        // Nothing is known of the origin: the next one finds out.
        (Outcome::Ours, 1, 0, true),
        (Outcome::OriginFailed, 0, 2, false),
        (Outcome::Throttled(Duration::from_secs(1)), 0, 2, false),
    ] {
        let (mut origin, now) = half_open();

        let next = origin.finished(&id(0), outcome.clone(), now, 0.0);

        assert_eq!((next.start.len(), next.fail.len()), (starts, fails), "{outcome:?}");
        assert_eq!(origin.is_probe(&id(1)), probes, "{outcome:?}");
    }
}

#[test]
fn a_probe_that_fails_opens_the_circuit_for_longer() {
    let (mut origin, now) = half_open();

    origin.finished(&id(0), Outcome::OriginFailed, now, 1.0);

    let before = now + 2 * LIMITS.backoff_min - Duration::from_millis(1);
    assert_eq!(refused(origin.want(&id(4), before)), ErrorCode::BadGateway);
    assert_eq!(origin.want(&id(4), now + 2 * LIMITS.backoff_min), Admission::Start);
    assert!(origin.is_probe(&id(4)));
}

#[test]
fn fetches_from_before_the_outage_neither_count_as_the_probe_nor_keep_it_back_for_ever() {
    let mut origin = busy();
    origin.finished(&id(0), Outcome::OriginFailed, NOW, 1.0);
    let now = NOW + LIMITS.backoff_min;
    assert_eq!(origin.want(&id(4), now), Admission::Start, "beside the one from before");
    assert_eq!(origin.want(&id(5), now), Admission::Wait);

    let next = origin.finished(&id(1), Outcome::Ours, now, 0.0);

    assert_eq!(next, Next::default(), "the probe is still on its way");
    assert_eq!(origin.finished(&id(4), Outcome::Answered, now, 0.0).start, [id(5)]);
}

#[test]
fn an_answer_of_what_has_ended_says_nothing() {
    let (mut origin, now) = half_open();

    assert_eq!(origin.answered(&id(7), now), Next::default());
    assert!(origin.is_probe(&id(0)));
}

#[test]
fn the_pause_after_a_failure_is_spread_over_all_of_its_length() {
    for (failures, luck, millis) in
        [(1, 0.0, 1000), (1, 1.0, 2000), (3, 0.0, 1000), (3, 0.5, 4500), (3, 1.0, 8000), (30, 1.0, 60_000)]
    {
        let (mut origin, mut now) = failing(failures - 1);
        now = now + LIMITS.backoff_max;
        origin.want(&id(0), now);
        origin.finished(&id(0), Outcome::OriginFailed, now, luck);

        let end = now + Duration::from_millis(millis);
        let before = origin.want(&id(1), end - Duration::from_millis(1));
        assert_eq!((refused(before), origin.want(&id(1), end)), (ErrorCode::BadGateway, Admission::Start));
    }
}

#[test]
fn what_is_too_large_is_remembered_for_its_own_time_and_told_as_it_was() {
    let mut origin = Origin::new(LIMITS);
    let too_large = FetchError::too_large();
    let memory = Memory { missing: LIMITS.backoff_min, too_large: LIMITS.backoff_max, failed: Duration::ZERO };
    origin.want(&id(0), NOW);
    origin.finished(&id(0), too_large.clone().into_outcome(memory), NOW, 0.0);

    let last = NOW + LIMITS.backoff_max - Duration::from_millis(1);
    assert_eq!(origin.want(&id(0), last), Admission::Refuse(too_large.failure));
    assert_eq!(origin.want(&id(0), NOW + LIMITS.backoff_max), Admission::Start);
}

#[test]
fn who_has_sent_too_much_is_asked_for_nothing_until_there_is_room() {
    let mut origin = busy();
    origin.received(1500, NOW);

    let next = origin.finished(&id(0), Outcome::Answered, NOW, 0.0);

    let failed: Vec<_> =
        next.fail.iter().map(|(id, failure)| (id.clone(), failure.code, failure.retry_after)).collect();
    let wait = Duration::from_millis(5010);
    assert_eq!(failed, [(id(2), ErrorCode::LimitExceeded, Some(wait)), (id(3), ErrorCode::LimitExceeded, Some(wait))]);
    assert_eq!(origin.want(&id(1), NOW), Admission::Join, "what is on its way is not cut off");
    assert_eq!(origin.want(&id(5), NOW), Admission::Overdrawn(wait));
    assert_eq!(origin.want(&id(5), NOW + wait), Admission::Start);
    origin.finished(&id(1), Outcome::Answered, NOW + wait, 0.0);
    origin.finished(&id(5), Outcome::Answered, NOW + wait, 0.0);
    assert!(!origin.is_idle(NOW + wait) && origin.is_idle(NOW + wait + LIMITS.period));
}

#[test]
fn what_finds_no_room_on_the_node_waits_on_in_its_order() {
    let (mut origin, now) = half_open();
    origin.finished(&id(0), Outcome::Ours, now, 0.0);
    let next = origin.finished(&id(1), Outcome::Answered, now, 0.0);
    assert_eq!(next.start, [id(2)]);
    assert_eq!(origin.want(&id(3), now), Admission::Start);
    assert_eq!([4, 5].map(|number| origin.want(&id(number), now)), [Admission::Wait, Admission::Wait]);
    origin.received(0, now);
    let next = origin.finished(&id(2), Outcome::Answered, now, 0.0);
    assert_eq!(next.start, [id(4)]);

    origin.postpone(&next.start);

    assert_eq!(origin.want(&id(6), now), Admission::Full, "nobody overtakes, though a place is free");
    assert_eq!(origin.finished(&id(3), Outcome::Answered, now, 0.0).start, [id(4), id(5)]);
}

/// Every state in which an origin can be, and whether it may start something.
fn states() -> Vec<(&'static str, Origin, Timestamp)> {
    let overdrawn = || {
        let mut origin = Origin::new(LIMITS);
        origin.received(LIMITS.bytes, NOW);
        origin
    };
    let (open, failed_at) = failing(1);
    let (half, now) = half_open();
    let free = Origin::new(LIMITS);
    vec![
        ("free", free, NOW),
        ("busy", busy(), NOW),
        ("open", open, failed_at),
        ("half open", half, now),
        ("overdrawn", overdrawn(), NOW),
    ]
}

#[test]
fn in_every_state_every_event_keeps_what_is_promised() {
    for number in 0..OUTCOMES {
        for (name, mut origin, now) in states() {
            let running: Vec<MediaId> = origin.running.iter().cloned().collect();
            let waited = origin.waiting.len();
            for media_id in &running {
                origin.answered(media_id, now);
            }
            for media_id in running {
                origin.received(1, now);
                origin.finished(&media_id, outcome(number), now, 0.5);
                assert!(origin.running.len() <= LIMITS.running && origin.waiting.len() <= waited, "{name}");
                assert!(origin.waiting.is_empty() || !origin.running.is_empty(), "{name}: nobody would start it");
            }
            let admission = origin.want(&id(200), now);
            let expected = match (name, number) {
                ("open", _) => "Refuse",
                ("overdrawn", _) => "Overdrawn",
                (_, 2 | 3) if name != "free" => "Refuse",
                ("busy" | "half open", _) => "Wait",
                _ => "Start",
            };
            assert!(format!("{admission:?}").starts_with(expected), "{name}, {:?}: {admission:?}", outcome(number));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Want(u8),
    Answer(usize),
    Finish(usize, u8, u16),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..8).prop_map(Step::Want),
        (0usize..4).prop_map(Step::Answer),
        (0usize..4, 0..OUTCOMES, 0u16..400).prop_map(|(which, outcome, bytes)| Step::Finish(which, outcome, bytes)),
        (0u16..5000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..120)
}

const OUTCOMES: u8 = 5;

fn outcome(number: u8) -> Outcome {
    match number {
        0 => Outcome::Answered,
        1 => Outcome::MediaFailed(Failure::not_found(), Duration::from_secs(1)),
        2 => Outcome::Throttled(Duration::from_secs(1)),
        3 => Outcome::OriginFailed,
        _ => Outcome::Ours,
    }
}

/// An origin as its actor sees it.
struct Seen {
    origin: Origin,
    now: Timestamp,
    running: Vec<MediaId>,
    waiting: Vec<MediaId>,
}

impl Seen {
    /// Starts as many as there is room for: at least one if nothing else runs.
    fn go_on(&mut self, next: &Next, room: usize) -> Result<(), TestCaseError> {
        for media_id in next.start.iter().chain(next.fail.iter().map(|(id, _)| id)) {
            let place = self.waiting.iter().position(|waits| waits == media_id);
            prop_assert_eq!(place, Some(0), "in order");
            self.waiting.remove(0);
        }
        let room = room.max(usize::from(self.running.is_empty())).min(next.start.len());
        let (started, postponed) = next.start.split_at(room);
        self.running.extend(started.iter().cloned());
        self.waiting.splice(0..0, postponed.iter().cloned());
        self.origin.postpone(postponed);
        Ok(())
    }
}

proptest! {
    /// Whatever happens: bounds hold, nobody waits for nothing, everybody who was let in is
    /// started or failed exactly once, in order, and no more than a probe goes to a broken origin.
    #[test]
    fn no_wish_is_lost_and_no_bound_is_broken(steps in steps(), room in 0usize..3) {
        let mut seen = Seen { origin: Origin::new(LIMITS), now: NOW, running: vec![], waiting: vec![] };
        let mut broken_with = None;
        for step in steps {
            match step {
                Step::Want(number) => match seen.origin.want(&id(number), seen.now) {
                    Admission::Join => {
                        prop_assert!(seen.running.contains(&id(number)) || seen.waiting.contains(&id(number)));
                    }
                    Admission::Start => seen.running.push(id(number)),
                    Admission::Wait => seen.waiting.push(id(number)),
                    Admission::Refuse(_) | Admission::Full | Admission::Overdrawn(_) => {}
                },
                Step::Answer(which) if which < seen.running.len() => {
                    broken_with = None;
                    let next = seen.origin.answered(&seen.running[which], seen.now);
                    seen.go_on(&next, room)?;
                }
                Step::Finish(which, number, bytes) if which < seen.running.len() => {
                    let media_id = seen.running.remove(which);
                    seen.origin.received(bytes.into(), seen.now);
                    let next = seen.origin.finished(&media_id, outcome(number), seen.now, 0.5);
                    match outcome(number) {
                        Outcome::OriginFailed => broken_with = Some(seen.running.len()),
                        Outcome::Answered | Outcome::MediaFailed(..) => broken_with = None,
                        _ => broken_with = broken_with.map(|others| others.min(seen.running.len())),
                    }
                    seen.go_on(&next, room)?;
                }
                Step::Answer(_) | Step::Finish(..) => {}
                Step::Pass(millis) => seen.now = seen.now + Duration::from_millis(millis.into()),
            }
            prop_assert!(seen.running.len() <= LIMITS.running && seen.waiting.len() <= LIMITS.queued);
            prop_assert!(seen.waiting.is_empty() || !seen.running.is_empty());
            if let Some(others) = broken_with {
                prop_assert!(seen.running.len() <= others + 1, "more than a probe");
            }
        }
    }
}
