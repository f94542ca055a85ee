//! Many consumers over one state, under a clock that stands still while anybody works.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use heliograph_types::{Clock, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;
use crate::{EmbeddedState, QueueStanding};

const QUEUE: &str = "queue";

/// The clock of tokio, from a day in 2023 on.
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000) + self.0.elapsed()
    }
}

/// Notes what it does. What a task begins with says how it ends.
#[derive(Default)]
struct Noting {
    done: Mutex<Vec<String>>,
    begun: AtomicUsize,
    has_no_room: AtomicBool,
    deadly: Notify,
}

#[async_trait]
impl Worker for Noting {
    fn has_room(&self) -> bool {
        !self.has_no_room.load(Ordering::SeqCst)
    }

    async fn work(&self, task: &str) -> Worked {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match task.split(' ').next() {
            Some("poison") => return Worked::Failed(format!("{task} cannot be done")),
            Some("panic") => panic!("on purpose"),
            Some("deadly") => {
                self.deadly.notify_one();
                std::future::pending::<()>().await;
            }
            Some("long") => sleep(Duration::from_mins(2)).await,
            _ => sleep(Duration::from_millis(50)).await,
        }
        self.done.lock().unwrap().push(task.to_owned());
        Worked::Done
    }
}

impl Noting {
    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

struct Scene {
    state: State,
    worker: Arc<Noting>,
    shutdown: CancellationToken,
    consumers: AtomicUsize,
}

impl Scene {
    fn new() -> Self {
        let state = EmbeddedState::in_memory(Arc::new(Simulated(Instant::now()))).unwrap();
        Self {
            state: Arc::new(state),
            worker: Arc::default(),
            shutdown: CancellationToken::new(),
            consumers: AtomicUsize::new(0),
        }
    }

    /// One more consumer. Aborting it is its death.
    #[expect(clippy::disallowed_methods, reason = "the test waits for it, or lets it die")]
    fn consumer(&self, at_once: usize) -> JoinHandle<()> {
        let consuming = Consuming {
            queue: QUEUE.to_owned(),
            name: format!("consumer {}", self.consumers.fetch_add(1, Ordering::SeqCst)),
            at_once: NonZeroUsize::new(at_once).unwrap(),
            tries: NonZeroU32::new(3).unwrap(),
            most_aside: 100,
        };
        tokio::spawn(consume(State::clone(&self.state), consuming, self.worker.clone() as _, self.shutdown.clone()))
    }

    async fn add(&self, task: &str) {
        assert!(enqueue(&self.state, QUEUE, task, 100_000).await.unwrap());
    }

    async fn standing(&self) -> QueueStanding {
        self.state.measure_queue(QUEUE).await.unwrap()
    }

    async fn until(&self, is_so: impl Fn(&QueueStanding) -> bool) {
        let soon = timeout(Duration::from_hours(1), async {
            while !is_so(&self.standing().await) {
                sleep(Duration::from_millis(10)).await;
            }
        });
        soon.await.expect("it does not come to that");
    }

    async fn until_empty(&self) {
        self.until(|standing| standing.length == 0).await;
    }

    async fn aside(&self) -> Vec<(String, String, u64)> {
        let aside = self.state.jobs_aside(QUEUE, None, 100).await.unwrap();
        aside.into_iter().map(|job| (job.task, job.reason, job.tries)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_a_new_job_at_once() {
    let scene = Scene::new();
    let _consumer = scene.consumer(1);
    sleep(Duration::from_mins(1)).await;
    let added = Instant::now();

    scene.add("a").await;
    scene.until_empty().await;

    assert_eq!(scene.worker.done(), ["a"]);
    assert!(added.elapsed() < Duration::from_millis(500), "not only at the next look");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_in_work_than_there_are_hands_and_the_order_is_kept() {
    let scene = Scene::new();
    for n in 0..6 {
        scene.add(&n.to_string()).await;
    }
    let _consumer = scene.consumer(2);

    for _ in 0..20 {
        sleep(Duration::from_millis(10)).await;
        assert!(scene.standing().await.pending <= 2);
    }
    scene.until_empty().await;

    assert_eq!(scene.worker.done(), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_consumer_had_another_does() {
    let scene = Scene::new();
    scene.add("long").await;
    let dead = scene.consumer(1);
    scene.until(|standing| standing.pending == 1).await;

    dead.abort();
    let died = Instant::now();
    let _other = scene.consumer(1);
    scene.until_empty().await;

    assert_eq!((scene.worker.done(), scene.worker.begun()), (vec!["long".to_owned()], 2));
    assert!(died.elapsed() < Duration::from_mins(2) + UNHEARD_FOR + 2 * LOOK_EVERY);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_long_is_nobody_elses_meanwhile() {
    let scene = Scene::new();
    scene.add("long").await;
    let (_one, _two) = (scene.consumer(1), scene.consumer(1));

    scene.until_empty().await;

    assert_eq!(scene.worker.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn poison_is_set_aside_with_its_reason_and_is_in_nobodys_way() {
    let scene = Scene::new();
    for task in ["poison a", "panic", "fine", "poison b", "also fine"] {
        scene.add(task).await;
    }
    let _consumer = scene.consumer(1);

    scene.until(|standing| standing.lag == 0).await;
    assert_eq!(scene.standing().await.aside, 0, "what is fine comes before what is tried again");
    scene.until_empty().await;

    assert_eq!(scene.worker.done(), ["fine", "also fine"]);
    let mut aside = scene.aside().await;
    aside.sort();
    let expected = [
        ("panic", "the work on it panicked"),
        ("poison a", "poison a cannot be done"),
        ("poison b", "poison b cannot be done"),
    ];
    assert_eq!(aside, expected.map(|(task, reason)| (task.to_owned(), reason.to_owned(), 3)));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_every_consumers_death_is_set_aside() {
    let scene = Scene::new();
    scene.add("long").await;
    for begun in 1..=3 {
        let consumer = scene.consumer(1);
        while scene.worker.begun() < begun {
            sleep(Duration::from_millis(10)).await;
        }
        consumer.abort();
    }

    let _survivor = scene.consumer(1);
    scene.until_empty().await;

    assert_eq!(scene.worker.begun(), 3);
    let reason = "it was begun 3 times, and each time its worker was not heard of any more".to_owned();
    assert_eq!(scene.aside().await, [("long".to_owned(), reason, 4)]);
}

#[tokio::test(start_paused = true)]
async fn what_lies_beside_a_deadly_job_is_done() {
    let scene = Scene::new();
    for task in ["a", "deadly", "b", "c"] {
        scene.add(task).await;
    }

    loop {
        let consumer = scene.consumer(4);
        tokio::select! {
            () = scene.worker.deadly.notified() => consumer.abort(),
            () = scene.until_empty() => break,
        }
    }

    let mut done = scene.worker.done();
    done.sort();
    assert_eq!(done, ["a", "b", "c"]);
    let aside: Vec<String> = scene.aside().await.into_iter().map(|(task, ..)| task).collect();
    assert_eq!(aside, ["deadly"]);
}

#[tokio::test(start_paused = true)]
async fn while_all_fails_few_jobs_lose_their_tries() {
    let scene = Scene::new();
    for n in 0..1000 {
        scene.add(&format!("poison {n}")).await;
    }
    let _consumer = scene.consumer(4);

    // As long as a store may be away.
    sleep(Duration::from_mins(1)).await;

    assert!(scene.worker.begun() <= 4 * 8, "{} were begun", scene.worker.begun());
    assert_eq!(scene.aside().await, []);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_was_begun_is_done_and_the_rest_is_left() {
    let scene = Scene::new();
    for task in ["long", "left"] {
        scene.add(task).await;
    }
    let consumer = scene.consumer(1);
    scene.until(|standing| standing.pending == 1).await;

    scene.shutdown.cancel();
    consumer.await.unwrap();

    assert_eq!(scene.worker.done(), ["long"]);
    let standing = scene.standing().await;
    assert_eq!((standing.length, standing.lag), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_room_takes_nothing() {
    let scene = Scene::new();
    scene.worker.has_no_room.store(true, Ordering::SeqCst);
    let _consumer = scene.consumer(1);
    scene.add("a").await;

    sleep(Duration::from_mins(1)).await;
    assert_eq!(scene.standing().await.lag, 1);
    scene.worker.has_no_room.store(false, Ordering::SeqCst);
    scene.until_empty().await;

    assert_eq!(scene.worker.done(), ["a"]);
}

/// A hundred consumers, of whom every fifth dies with what it has, and is replaced.
#[tokio::test(start_paused = true)]
async fn of_a_hundred_consumers_some_die_and_no_job_is_lost() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let scene = Scene::new();
    let mut consumers: Vec<_> = (0..100).map(|_| scene.consumer(2)).collect();

    let (mut added, mut deaths) = (HashSet::new(), 0);
    for n in 0..4000 {
        let task = n.to_string();
        scene.add(&task).await;
        added.insert(task);
        if dice.random_ratio(1, 200) {
            let place = dice.random_range(0..consumers.len());
            std::mem::replace(&mut consumers[place], scene.consumer(2)).abort();
            deaths += 1;
        }
        sleep(Duration::from_millis(dice.random_range(0..2))).await;
    }
    scene.until_empty().await;

    let mut times = BTreeMap::<String, usize>::new();
    for task in scene.worker.done() {
        *times.entry(task).or_default() += 1;
    }
    assert_eq!(times.keys().cloned().collect::<HashSet<_>>(), added);
    let repeated: usize = times.values().map(|times| times - 1).sum();
    assert!(repeated <= 2 * deaths, "{repeated} were done again after {deaths} deaths");
    assert_eq!(scene.aside().await, []);
}
