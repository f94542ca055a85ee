//! A hundred thumbnailers, simulated: a burst of new pictures, ten that become a hundred and ten
//! again, some that die, and pictures that nobody can work on.
//!
//! Placement, queue, consumers and leases are the real code, over the state of one process and
//! under a clock that stands still while anybody works. Only what a picture takes is thrown with
//! dice, and so is who asks for which.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bench;
mod dice;
mod fleet;
mod journal;
mod report;

use std::{sync::Arc, time::Duration};

use heliograph_leases::{EmbeddedState, State, enqueue};
use heliograph_types::{Clock, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::{bench::Bench, dice::Dice, fleet::Fleet, journal::Journal, report::Report};

const QUEUE: &str = "new pictures";
const STEP: Duration = Duration::from_millis(100);
/// More than will wait.
const MOST: u64 = 100_000;
const LEAST_WORKERS: usize = 10;
const MOST_WORKERS: usize = 100;
/// Pictures that are asked for, in each step.
const ASKED: usize = 5;

/// When how many new pictures come in each step.
const COURSE: [(Duration, usize); 3] =
    [(Duration::from_mins(1), 2), (Duration::from_mins(2), 20), (Duration::from_mins(5), 1)];
/// Until here, now and then a worker dies.
const DEATHS_UNTIL: Duration = Duration::from_mins(4);
/// Of so many new pictures one cannot be worked on.
const POISON: u64 = 700;
/// Of so many one is the end of whoever works on it.
const DEADLY: u64 = 3000;

/// The clock of tokio, from a day in 2023 on.
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000) + self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_workers_share_a_burst_and_nothing_is_lost_or_done_by_two() {
    let mut dice = Dice::throw();
    let state: State = Arc::new(EmbeddedState::in_memory(Arc::new(Simulated(Instant::now()))).unwrap());
    let journal = Arc::new(Journal::default());
    let mut fleet = Fleet::start(&state, &journal, dice.seed());
    let mut report = Report::begin();

    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (until, arriving) in COURSE {
        while report.passed() < until {
            steps.tick().await;
            for _ in 0..arriving {
                let task = dice.new_picture();
                assert!(enqueue(&state, QUEUE, &task, MOST).await.unwrap());
                journal.added(task);
            }
            for _ in 0..ASKED {
                fleet.ask(dice.picture(&journal.pictures()));
            }
            if report.passed() < DEATHS_UNTIL && dice.one_of(100) {
                fleet.kill_one(&mut dice);
            }
            let standing = state.measure_queue(QUEUE).await.unwrap();
            fleet.follow(&standing);
            report.note(&standing, &fleet, &journal);
        }
    }
    fleet.until_settled(&state, &mut report, &journal).await;

    report.print(&fleet, &journal);
    journal.check(&state, fleet.deaths()).await;
    fleet.check();
    report.check();
}
