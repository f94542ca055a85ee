//! What we know of one remote origin, and what may be asked of it now. Pure.
//!
//! Owns: which media are being fetched, which wait for their turn, which failed and why, how
//! much it may still send, and how long it is to be left alone. Knows no clock and no I/O.
//!
//! After a failure the circuit is open: for a while nobody asks. Then it is half open: one
//! fetch is the probe, and the others wait until it is answered. An answer closes it.

use std::{
    collections::{HashSet, VecDeque},
    num::NonZeroUsize,
    time::Duration,
};

use heliograph_types::{ErrorCode, Failure, MediaId, Timestamp};
use lru::LruCache;

use crate::{allowance::Allowance, verdict::OUT_OF_REACH};

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
    /// Bytes that it may send within `period`.
    pub(crate) bytes: u64,
    /// The time that `bytes` is for.
    pub(crate) period: Duration,
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
    /// Not for so long: it has sent too much.
    Overdrawn(Duration),
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
/// No medium is both running and waiting. Something waits only while something runs.
#[derive(Debug)]
pub(crate) struct Origin {
    limits: Limits,
    running: HashSet<MediaId>,
    waiting: VecDeque<MediaId>,
    failed: LruCache<MediaId, (Failure, Timestamp)>,
    allowance: Allowance,
    /// Failures since the last answer: if there are any, the circuit is not closed.
    failures: u32,
    alone_until: Timestamp,
    /// The one fetch that goes through the half-open circuit.
    probe: Option<MediaId>,
}

impl Origin {
    /// An origin of which nothing is known.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: HashSet::new(),
            waiting: VecDeque::new(),
            failed: LruCache::new(REMEMBERED),
            allowance: Allowance::new(limits.bytes, limits.period),
            failures: 0,
            alone_until: Timestamp::default(),
            probe: None,
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
        let wait = self.allowance.wait(now);
        if !wait.is_zero() {
            return Admission::Overdrawn(wait);
        }
        if self.waiting.is_empty() && self.has_place() {
            self.start(media_id);
            return Admission::Start;
        }
        if self.waiting.len() < self.limits.queued {
            self.waiting.push_back(media_id.clone());
            return Admission::Wait;
        }
        Admission::Full
    }

    /// Whether the others wait until this fetch is answered.
    pub(crate) fn is_probe(&self, media_id: &MediaId) -> bool {
        self.probe.as_ref() == Some(media_id)
    }

    /// The origin has begun to answer a fetch: the others need not wait for its end.
    pub(crate) fn answered(&mut self, media_id: &MediaId, now: Timestamp) -> Next {
        if self.running.contains(media_id) {
            self.close_circuit();
        }
        self.next(now)
    }

    /// So much has come from it; to be told before the fetch is finished.
    pub(crate) fn received(&mut self, bytes: u64, now: Timestamp) {
        self.allowance.take(bytes, now);
    }

    /// A fetch has ended. `luck`, from 0 to 1, spreads those who come back.
    pub(crate) fn finished(&mut self, media_id: &MediaId, outcome: Outcome, now: Timestamp, luck: f64) -> Next {
        self.running.remove(media_id);
        self.probe.take_if(|probe| probe == media_id);
        match outcome {
            Outcome::Answered => self.close_circuit(),
            Outcome::MediaFailed(failure, span) => {
                self.close_circuit();
                self.failed.put(media_id.clone(), (failure, now + span));
            }
            Outcome::Throttled(span) => self.leave_alone(now + span.min(self.limits.backoff_max)),
            // What fails while the origin is left alone began before: it is the same outage.
            Outcome::OriginFailed if now < self.alone_until => self.failures = self.failures.max(1),
            Outcome::OriginFailed => {
                self.leave_alone(now + self.backoff(luck));
                self.failures = self.failures.saturating_add(1);
                self.probe = None;
            }
            Outcome::Ours => {}
        }
        self.next(now)
    }

    /// There is no room on this node for what was just started: it waits on, before all
    /// others. Something else runs still, whose end makes it start again.
    pub(crate) fn postpone(&mut self, started: &[MediaId]) {
        for media_id in started.iter().rev() {
            if self.running.remove(media_id) {
                self.probe.take_if(|probe| probe == media_id);
                self.waiting.push_front(media_id.clone());
            }
        }
        debug_assert!(self.waiting.is_empty() || !self.running.is_empty(), "nobody would start it");
    }

    /// True if somebody waits for a fetch.
    pub(crate) fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// True if forgetting all of this would change nothing.
    pub(crate) fn is_idle(&self, now: Timestamp) -> bool {
        let remembers = self.failed.iter().any(|(_, (_, until))| now < *until);
        !self.is_busy() && !remembers && self.alone_until <= now && self.allowance.is_full(now)
    }

    fn close_circuit(&mut self) {
        self.failures = 0;
        self.probe = None;
    }

    fn leave_alone(&mut self, until: Timestamp) {
        self.alone_until = self.alone_until.max(until);
    }

    /// Something between half of the shortest time and a whole that doubles with each failure.
    fn backoff(&self, luck: f64) -> Duration {
        let Limits { backoff_min, backoff_max, .. } = self.limits;
        let whole = backoff_min.saturating_mul(1 << self.failures.min(20)).min(backoff_max);
        let least = backoff_min.min(whole) / 2;
        least + whole.saturating_sub(least).mul_f64(luck.clamp(0.0, 1.0))
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

    /// Whether one more may run, as far as the origin is concerned.
    fn has_place(&self) -> bool {
        let is_closed = self.failures == 0;
        self.running.len() < self.limits.running && (is_closed || self.probe.is_none())
    }

    fn start(&mut self, media_id: &MediaId) {
        self.running.insert(media_id.clone());
        if self.failures > 0 {
            self.probe = Some(media_id.clone());
        }
    }

    fn next(&mut self, now: Timestamp) -> Next {
        let mut next = Next::default();
        let wait = self.allowance.wait(now);
        let overdrawn = (!wait.is_zero()).then(|| overdrawn(wait));
        if let Some(failure) = self.find_reason_to_wait(now).or(overdrawn) {
            next.fail = self.waiting.drain(..).map(|media_id| (media_id, failure.clone())).collect();
            return next;
        }
        while self.has_place()
            && let Some(media_id) = self.waiting.pop_front()
        {
            self.start(&media_id);
            next.start.push(media_id);
        }
        next
    }
}

/// What is told while an origin has sent too much.
pub(crate) fn overdrawn(wait: Duration) -> Failure {
    Failure::saturated("too much has come from this server", wait)
}

#[cfg(test)]
mod tests;
