//! One worker: thumbnails for those who wait, and new pictures when there is room.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use heliograph_leases::{State, Worked, Worker};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Journal, dice::cost};

/// Thumbnails that are made at once, and those that wait besides.
const HANDS: usize = 4;
const WAITING: usize = 8;
/// Whoever makes a thumbnail is alone, and for no longer than this after his death.
const TURN: Duration = Duration::from_secs(10);

pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) journal: Arc<Journal>,
    pub(crate) seed: u64,
    /// The end of this worker, at once.
    pub(crate) dying: CancellationToken,
    room: Semaphore,
    hands: Semaphore,
    asked_for: Mutex<HashSet<String>>,
    answered: AtomicUsize,
}

impl Bench {
    pub(crate) fn new(state: &State, journal: &Arc<Journal>, seed: u64) -> Self {
        Self {
            state: State::clone(state),
            journal: Arc::clone(journal),
            seed,
            dying: CancellationToken::new(),
            room: Semaphore::new(HANDS + WAITING),
            hands: Semaphore::new(HANDS),
            asked_for: Mutex::default(),
            answered: AtomicUsize::new(0),
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Somebody asks for a thumbnail; false if there is no room for him. Who asks for what is being
    /// made waits with the others.
    pub(crate) fn ask(self: &Arc<Self>, picture: &str) -> bool {
        if !self.asked_for.lock().unwrap().insert(picture.to_owned()) {
            return true;
        }
        if self.room.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_err() {
            self.asked_for.lock().unwrap().remove(picture);
            return false;
        }
        let (bench, picture) = (Arc::clone(self), picture.to_owned());
        let answering = async move {
            let _ = bench.dying.run_until_cancelled(bench.answer(&picture)).await;
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the worker")]
        drop(tokio::spawn(answering));
        true
    }

    async fn answer(&self, picture: &str) {
        let hand = self.hands.acquire().await.unwrap();
        self.make(picture).await;
        drop(hand);
        self.asked_for.lock().unwrap().remove(picture);
        self.room.add_permits(1);
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the thumbnails of a picture, unless they are there; one worker at a time.
    async fn make(&self, picture: &str) {
        while !self.journal.is_made(picture) {
            let Some(turn) = self.state.try_acquire(picture, TURN).await.unwrap() else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            if !self.journal.is_made(picture) {
                let _at_work = self.journal.begin_making(picture);
                sleep(cost(self.seed, picture)).await;
                self.journal.made(picture);
            }
            self.state.release(&turn).await.unwrap();
        }
    }
}

#[async_trait]
impl Worker for Bench {
    fn has_room(&self) -> bool {
        self.room.available_permits() > WAITING
    }

    async fn work(&self, task: &str) -> Worked {
        let _at_work = self.journal.begin_job(task);
        match task.split(':').next() {
            Some("poison") => {
                sleep(Duration::from_millis(50)).await;
                return Worked::Failed("it cannot be read".to_owned());
            }
            Some("deadly") => {
                self.dying.cancel();
                std::future::pending::<()>().await;
            }
            _ => self.make(task).await,
        }
        self.journal.done(task);
        Worked::Done
    }
}
