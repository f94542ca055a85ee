//! The workers: started, stopped and replaced as a cluster does it, and who is asked for what.

use std::{num::NonZeroU32, num::NonZeroUsize, sync::Arc, time::Duration};

use heliograph_leases::{Consuming, QueueStanding, State, consume};
use heliograph_proto::placement::{RouteKey, in_order};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Bench, Dice, Journal, LEAST_WORKERS, MOST_WORKERS, QUEUE, Report, STEP};

/// As the chart has KEDA do it: jobs that may wait per worker, how often it looks, how long it waits
/// before it takes workers away; and how long one takes to start.
const QUEUED_EACH: u64 = 16;
const LOOK_EVERY: Duration = Duration::from_secs(30);
const COOLDOWN: Duration = Duration::from_mins(5);
const START: Duration = Duration::from_secs(20);
/// Keys of which it is followed where they are.
const SAMPLE: usize = 500;

pub(crate) struct Fleet {
    state: State,
    journal: Arc<Journal>,
    seed: u64,
    workers: Vec<Member>,
    starting: Vec<Instant>,
    wanted: usize,
    looked_at: Instant,
    needed_at: Instant,
    started: usize,
    deaths: usize,
    homes: Vec<String>,
    moved: usize,
    moved_needlessly: usize,
    /// Requests that the second instance got, and that nobody had room for.
    seconds: usize,
    refused: usize,
    asked: usize,
    /// The most keys of one worker over the mean, when all are there: as the first, and as the
    /// second choice.
    pub(crate) spread: Option<(f64, f64)>,
}

struct Member {
    address: String,
    bench: Arc<Bench>,
    leaving: CancellationToken,
    task: JoinHandle<()>,
}

impl Fleet {
    pub(crate) fn start(state: &State, journal: &Arc<Journal>, seed: u64) -> Self {
        let now = Instant::now();
        let mut fleet = Self {
            state: State::clone(state),
            journal: Arc::clone(journal),
            seed,
            workers: Vec::new(),
            starting: Vec::new(),
            wanted: LEAST_WORKERS,
            looked_at: now,
            needed_at: now,
            started: 0,
            deaths: 0,
            homes: Vec::new(),
            moved: 0,
            moved_needlessly: 0,
            seconds: 0,
            refused: 0,
            asked: 0,
            spread: None,
        };
        (0..LEAST_WORKERS).for_each(|_| fleet.add());
        (fleet.moved, fleet.homes) = (0, fleet.homes_now());
        fleet
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether nearly all are there that there can be: some have died and are about to be replaced.
    pub(crate) fn is_at_full_strength(&self) -> bool {
        self.workers.len() * 10 >= MOST_WORKERS * 9
    }

    pub(crate) const fn deaths(&self) -> usize {
        self.deaths
    }

    /// Somebody wants a thumbnail of a picture: of the worker where it belongs, else of one other.
    pub(crate) fn ask(&mut self, picture: &str) {
        if !picture.starts_with("fine") || self.journal.is_made(picture) {
            return;
        }
        self.asked += 1;
        let order = in_order(&self.workers, RouteKey::of(picture), |worker| &worker.address);
        let place = order.iter().take(2).position(|worker| worker.bench.ask(picture));
        match place {
            Some(0) => {}
            Some(_) => self.seconds += 1,
            None => self.refused += 1,
        }
    }

    pub(crate) fn kill_one(&mut self, dice: &mut Dice) {
        let place = dice.below(self.workers.len());
        self.workers[place].bench.dying.cancel();
    }

    /// Replaces those who died, and has as many as are needed.
    pub(crate) fn follow(&mut self, standing: &QueueStanding) {
        let now = Instant::now();
        let before = self.workers.len();
        self.workers.retain(|worker| !worker.bench.dying.is_cancelled());
        self.deaths += before - self.workers.len();
        if now.duration_since(self.looked_at) >= LOOK_EVERY {
            self.looked_at = now;
            self.decide(standing.lag, now);
        }
        let missing = self.wanted.saturating_sub(self.workers.len() + self.starting.len());
        self.starting.extend((0..missing).map(|_| now + START));
        let ready = self.starting.iter().filter(|at| **at <= now).count();
        self.starting.retain(|at| *at > now);
        (0..ready).for_each(|_| self.add());
        for worker in self.workers.drain(self.wanted.min(self.workers.len())..) {
            worker.leaving.cancel();
        }
        if before != self.workers.len() || ready > 0 {
            self.look_where_keys_are();
        }
    }

    fn decide(&mut self, lag: u64, now: Instant) {
        let wanted = usize::try_from(lag.div_ceil(QUEUED_EACH)).unwrap().clamp(LEAST_WORKERS, MOST_WORKERS);
        if wanted >= self.wanted {
            (self.wanted, self.needed_at) = (wanted, now);
        } else if now.duration_since(self.needed_at) >= COOLDOWN {
            self.wanted = wanted;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "it ends with its worker")]
    fn add(&mut self) {
        self.started += 1;
        let bench = Arc::new(Bench::new(&self.state, &self.journal, self.seed));
        let (address, leaving) =
            (format!("10.4.{}.{}:8100", self.started / 250, self.started % 250), CancellationToken::new());
        let consuming = Consuming {
            queue: QUEUE.to_owned(),
            name: format!("worker {}", self.started),
            at_once: NonZeroUsize::new(2).unwrap(),
            tries: NonZeroU32::new(3).unwrap(),
            most_aside: 1000,
        };
        let consumed = consume(State::clone(&self.state), consuming, Arc::clone(&bench) as _, leaving.clone());
        let dying = bench.dying.clone();
        let task = tokio::spawn(async move {
            let _: Option<()> = dying.run_until_cancelled(consumed).await;
        });
        self.workers.push(Member { address, bench, leaving, task });
    }

    fn homes_now(&self) -> Vec<String> {
        let home = |n| self.order(&format!("mxc://example.org/sample-{n}"))[0].address.clone();
        (0..SAMPLE).map(home).collect()
    }

    fn order(&self, picture: &str) -> Vec<&Member> {
        in_order(&self.workers, RouteKey::of(picture), |worker| &worker.address)
    }

    /// What has moved either had its home at one that is gone, or has it at one that is new.
    fn look_where_keys_are(&mut self) {
        let homes = self.homes_now();
        let is_there = |address: &String| self.workers.iter().any(|worker| worker.address == *address);
        let was_there = |address: &String| self.homes.contains(address);
        let moved = self.homes.iter().zip(&homes).filter(|(was, is)| was != is);
        let (mut all, mut needless) = (0, 0);
        for (was, is) in moved {
            all += 1;
            needless += usize::from(is_there(was) && was_there(is));
        }
        self.moved += all;
        self.moved_needlessly += needless;
        self.homes = homes;
        if self.is_at_full_strength() && self.spread.is_none() {
            self.spread = Some((self.spread_of(0), self.spread_of(1)));
        }
    }

    /// The most pictures of one worker over the mean, by their first or their second choice.
    #[expect(clippy::cast_precision_loss, reason = "they are few")]
    fn spread_of(&self, choice: usize) -> f64 {
        let mut shares = std::collections::HashMap::<&str, usize>::new();
        let pictures = self.journal.pictures();
        for picture in &pictures {
            *shares.entry(&self.order(picture)[choice].address).or_default() += 1;
        }
        *shares.values().max().unwrap() as f64 * self.workers.len() as f64 / pictures.len() as f64
    }

    /// Goes on, with nothing new, until nothing is left and as few work as at the beginning.
    pub(crate) async fn until_settled(&mut self, state: &State, report: &mut Report, journal: &Journal) {
        let deadline = Instant::now() + Duration::from_mins(30);
        loop {
            tokio::time::sleep(STEP).await;
            let standing = state.measure_queue(QUEUE).await.unwrap();
            self.follow(&standing);
            report.note(&standing, self, journal);
            if standing.length == 0 && self.workers.len() == LEAST_WORKERS && self.wanted == LEAST_WORKERS {
                return;
            }
            assert!(Instant::now() < deadline, "it does not settle: {standing:?}");
        }
    }

    pub(crate) fn lines(&self) -> String {
        let (first, second) = self.spread.unwrap_or_default();
        let answered: usize = self.workers.iter().map(|worker| worker.bench.answered()).sum();
        format!(
            "{} workers were started, {} died; most pictures of one over the mean: {first:.2} (second choice {second:.2})\n\
             of {SAMPLE} keys {} moved in all, {} needlessly; {} asked for what was not made yet: {} went to the second, \
             {} were refused; {answered} answered by those that are left",
            self.started, self.deaths, self.moved, self.moved_needlessly, self.asked, self.seconds, self.refused,
        )
    }

    /// Work is spread, and nothing moves but the share of those who come and go.
    pub(crate) fn check(&self) {
        let Some((first, second)) = self.spread else { panic!("nearly all were there at once") };
        assert!(first < 1.6 && second < 1.6, "{first} {second}");
        assert_eq!(self.moved_needlessly, 0);
        assert!(self.workers.iter().all(|worker| !worker.task.is_finished()), "those who are left are at work");
        assert!(self.refused * 20 <= self.asked, "{} of {} were refused", self.refused, self.asked);
    }
}
