//! What queues must do.

use std::{collections::HashSet, time::Duration};

use super::bench::Bench;
use crate::{Again, Consumer, Job, JobId, QueueStanding};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// Short enough to wait for. It may end by itself before we do.
const SHORT: Duration = Duration::from_millis(300);

const MANY: u64 = 1000;

fn consumer(name: &str, unheard_for: Duration) -> Consumer {
    Consumer { queue: "queue".to_owned(), name: name.to_owned(), unheard_for }
}

impl Bench {
    async fn add(&self, task: &str) {
        self.add_job("queue", task, MANY).await.unwrap().expect("there is room");
    }

    async fn take(&self, consumer: &Consumer, most: usize) -> Vec<Job> {
        self.take_jobs(consumer, most).await.unwrap()
    }

    async fn take_one(&self, consumer: &Consumer) -> Job {
        self.take(consumer, 1).await.pop().expect("a job waits")
    }

    async fn standing(&self) -> QueueStanding {
        self.measure_queue("queue").await.unwrap()
    }

    async fn reasons(&self) -> Vec<String> {
        let aside = self.jobs_aside("queue", None, 100).await.unwrap();
        aside.into_iter().map(|job| job.reason).collect()
    }
}

fn tasks(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.task.as_str()).collect()
}

pub(super) async fn jobs_come_in_the_order_in_which_they_were_added(bench: Bench) {
    for task in ["a", "b", "c"] {
        bench.add(task).await;
    }
    let (one, two) = (consumer("one", LONG), consumer("two", LONG));

    let first = bench.take(&one, 2).await;
    let second = bench.take(&two, 2).await;
    let none = bench.take(&two, 2).await;

    assert_eq!((tasks(&first), tasks(&second), none), (vec!["a", "b"], vec!["c"], vec![]));
    assert!(first.iter().chain(&second).all(|job| job.tries == 1 && !job.taken_over));
    assert!(first[0].id < first[1].id && first[1].id < second[0].id);
    assert_eq!(bench.take(&one, 0).await, []);
}

pub(super) async fn a_queue_takes_no_more_than_the_most_and_says_how_many_wait(bench: Bench) {
    let one = consumer("one", LONG);
    let add = async |task| bench.add_job("queue", task, 2).await.unwrap();

    assert_eq!((add("a").await, add("b").await, add("c").await), (Some(1), Some(2), None));
    // What is in work is not done.
    let first = bench.take_one(&one).await;
    assert_eq!(add("c").await, None);
    bench.finish_job("queue", &first.id).await.unwrap();
    assert_eq!(add("c").await, Some(2));
    assert_eq!(tasks(&bench.take(&one, 9).await), ["b", "c"]);
    assert_eq!(bench.add_job("other", "d", 1).await.unwrap(), Some(1));
}

pub(super) async fn adding_at_once_never_exceeds_the_most(bench: Bench) {
    let added = bench
        .at_once(
            40,
            |state, caller| async move { state.add_job("queue", &caller.to_string(), 10).await.unwrap().is_some() },
        )
        .await;

    assert_eq!(added.into_iter().filter(|added| *added).count(), 10);
    assert_eq!(bench.standing().await.length, 10);
}

pub(super) async fn each_job_goes_to_one_of_many_consumers(bench: Bench) {
    for task in 0..60 {
        bench.add(&task.to_string()).await;
    }

    let taken = bench
        .at_once(20, |state, caller| async move {
            let one = consumer(&caller.to_string(), LONG);
            let mut taken = Vec::new();
            loop {
                match state.take_jobs(&one, 2).await.unwrap() {
                    jobs if jobs.is_empty() => return taken,
                    jobs => taken.extend(jobs.into_iter().map(|job| job.task)),
                }
            }
        })
        .await;

    let all: Vec<String> = taken.into_iter().flatten().collect();
    assert_eq!(all.len(), 60);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 60);
}

pub(super) async fn a_job_that_is_done_is_gone_whoever_holds_it(bench: Bench) {
    bench.add("a").await;
    let (slow, quick) = (consumer("slow", SHORT), consumer("quick", SHORT));
    let job = bench.take_one(&slow).await;
    bench.pass(SHORT).await;
    let taken_over = bench.take_one(&quick).await;

    // The first one was not dead after all.
    let finished = bench.finish_job("queue", &job.id).await.unwrap();
    let again = bench.finish_job("queue", &taken_over.id).await.unwrap();
    bench.pass(SHORT).await;

    assert_eq!((finished, again), (true, false));
    assert_eq!(bench.take(&quick, 9).await, []);
    assert_eq!(bench.standing().await, QueueStanding::default());
}

pub(super) async fn what_a_dead_consumer_held_another_takes_over_before_new_jobs(bench: Bench) {
    bench.add("old").await;
    let (dead, other) = (consumer("dead", SHORT), consumer("other", SHORT));
    let held = bench.take_one(&dead).await;
    bench.add("new").await;

    bench.pass(SHORT).await;
    let taken = bench.take(&other, 2).await;

    assert_eq!(tasks(&taken), ["old", "new"]);
    assert_eq!(taken.iter().map(|job| (job.tries, job.taken_over)).collect::<Vec<_>>(), [(2, true), (1, false)]);
    assert_eq!(taken[0].id, held.id);
    // Whoever comes back holds nothing any more.
    assert_eq!(bench.hold_jobs(&dead, std::slice::from_ref(&held.id)).await.unwrap(), 0);
    assert!(!bench.give_job_back(&dead, &held.id, Again::Unbegun).await.unwrap());
    assert!(!bench.set_job_aside(&dead, &held.id, "mine", MANY).await.unwrap());
    let ids: Vec<JobId> = taken.into_iter().map(|job| job.id).collect();
    assert_eq!(bench.hold_jobs(&other, &ids).await.unwrap(), 2);
}

pub(super) async fn nobody_takes_over_what_is_held(bench: Bench) {
    // Long enough that it is held in time on a busy machine.
    let unheard_for = Duration::from_secs(3);
    let (holder, other) = (consumer("holder", unheard_for), consumer("other", unheard_for));
    bench.add("a").await;
    let job = bench.take_one(&holder).await;

    for _ in 0..3 {
        bench.pass(unheard_for / 2).await;
        assert_eq!(bench.hold_jobs(&holder, std::slice::from_ref(&job.id)).await.unwrap(), 1);
        assert_eq!(bench.take(&other, 9).await, []);
    }
    bench.pass(unheard_for).await;

    // Holding is not another try.
    assert_eq!(bench.take_one(&other).await.tries, 2);
}

pub(super) async fn a_job_that_is_given_back_unbegun_is_free_at_once_and_was_not_tried(bench: Bench) {
    for task in ["a", "b"] {
        bench.add(task).await;
    }
    let (one, two) = (consumer("one", LONG), consumer("two", LONG));
    let job = bench.take_one(&one).await;

    assert!(bench.give_job_back(&one, &job.id, Again::Unbegun).await.unwrap());
    assert!(!bench.give_job_back(&one, &job.id, Again::Unbegun).await.unwrap(), "it is ours no more");
    let taken = bench.take(&two, 2).await;

    assert_eq!(tasks(&taken), ["a", "b"]);
    assert!(taken.iter().all(|job| job.tries == 1 && !job.taken_over), "{taken:?}");
}

pub(super) async fn a_job_that_failed_is_free_after_a_while_and_each_try_counts(bench: Bench) {
    // Long enough that it is not over before we look.
    let unheard_for = Duration::from_secs(3);
    let (one, two) = (consumer("one", unheard_for), consumer("two", unheard_for));
    bench.add("a").await;

    for tries in 1..=3 {
        let job = bench.take_one(&one).await;
        assert_eq!((job.tries, job.taken_over), (tries, false));
        assert!(bench.give_job_back(&one, &job.id, Again::Later).await.unwrap());
        assert_eq!(bench.take(&two, 9).await, [], "not at once");
        assert_eq!(bench.standing().await.pending, 1);
        bench.pass(unheard_for).await;
    }

    assert_eq!(bench.take_one(&two).await.tries, 4);
}

pub(super) async fn what_is_set_aside_is_kept_with_its_reason_and_nobody_takes_it(bench: Bench) {
    let one = consumer("one", SHORT);
    for task in ["poison", "fine"] {
        bench.add(task).await;
    }
    let job = bench.take_one(&one).await;

    assert!(bench.set_job_aside(&one, &job.id, "the store said \r\n \"no\"", MANY).await.unwrap());
    assert!(!bench.set_job_aside(&one, &job.id, "again", MANY).await.unwrap());
    bench.pass(SHORT).await;

    assert_eq!(tasks(&bench.take(&one, 9).await), ["fine"]);
    let aside = bench.jobs_aside("queue", None, 9).await.unwrap();
    let [kept] = &aside[..] else { panic!("{aside:?}") };
    assert_eq!((kept.task.as_str(), kept.reason.as_str(), kept.tries), ("poison", "the store said \r\n \"no\"", 1));
    let standing = bench.standing().await;
    assert_eq!((standing.length, standing.aside), (1, 1));
}

pub(super) async fn only_so_many_are_kept_aside_and_they_come_in_pages(bench: Bench) {
    let one = consumer("one", LONG);
    for task in ["a", "b", "c", "d"] {
        bench.add(task).await;
        let job = bench.take_one(&one).await;
        assert!(bench.set_job_aside(&one, &job.id, task, 3).await.unwrap());
    }

    let page = bench.jobs_aside("queue", None, 2).await.unwrap();
    let rest = bench.jobs_aside("queue", Some(&page[1].id), 2).await.unwrap();

    assert_eq!(page.iter().chain(&rest).map(|job| job.reason.as_str()).collect::<Vec<_>>(), ["b", "c", "d"]);
    assert_eq!(bench.jobs_aside("queue", Some(&rest[0].id), 2).await.unwrap(), []);
    assert_eq!(bench.standing().await.aside, 3);
}

pub(super) async fn what_was_set_aside_can_be_forgotten_one_by_one_or_all(bench: Bench) {
    let one = consumer("one", LONG);
    for task in ["a", "b", "c"] {
        bench.add(task).await;
        let job = bench.take_one(&one).await;
        bench.set_job_aside(&one, &job.id, task, MANY).await.unwrap();
    }
    let second = bench.jobs_aside("queue", None, 9).await.unwrap().remove(1);

    assert_eq!(bench.forget_aside("queue", Some(&second.id)).await.unwrap(), 1);
    assert_eq!(bench.forget_aside("queue", Some(&second.id)).await.unwrap(), 0);
    assert_eq!(bench.reasons().await, ["a", "c"]);
    assert_eq!(bench.forget_aside("queue", None).await.unwrap(), 2);
    assert_eq!(bench.forget_aside("never there", None).await.unwrap(), 0);
    assert_eq!(bench.reasons().await, [""; 0]);
}

pub(super) async fn what_was_set_aside_can_be_tried_again_as_far_as_there_is_room(bench: Bench) {
    let one = consumer("one", LONG);
    for task in ["a", "b", "c", "d"] {
        bench.add(task).await;
        let job = bench.take_one(&one).await;
        bench.set_job_aside(&one, &job.id, task, MANY).await.unwrap();
    }
    let second = bench.jobs_aside("queue", None, 9).await.unwrap().remove(1);
    let retry = async |id, most| bench.retry_aside("queue", id, most).await.unwrap();

    assert_eq!(retry(Some(&second.id), 0).await, 0, "there is no room");
    assert_eq!(retry(Some(&second.id), MANY).await, 1);
    assert_eq!(retry(Some(&second.id), MANY).await, 0, "it is not there any more");
    assert_eq!(bench.reasons().await, ["a", "c", "d"]);
    assert_eq!(retry(None, 3).await, 2);
    assert_eq!(bench.reasons().await, ["d"]);

    let again = bench.take(&one, 9).await;
    assert_eq!(tasks(&again), ["b", "a", "c"]);
    assert!(again.iter().all(|job| job.tries == 1 && !job.taken_over), "{again:?}");
    assert_eq!(bench.retry_aside("never there", None, MANY).await.unwrap(), 0);
}

pub(super) async fn a_queue_tells_how_it_stands(bench: Bench) {
    let one = consumer("one", LONG);
    assert_eq!(bench.standing().await, QueueStanding::default());
    for task in ["a", "b", "c"] {
        bench.add(task).await;
    }
    bench.take(&one, 2).await;
    bench.pass(SHORT).await;

    let standing = bench.standing().await;

    assert_eq!((standing.length, standing.lag, standing.pending), (3, 1, 2));
    assert!(standing.oldest >= SHORT, "{standing:?}");
}

pub(super) async fn consumers_that_are_gone_and_hold_nothing_are_forgotten(bench: Bench) {
    let (idle, holder) = (consumer("idle", LONG), consumer("holder", LONG));
    for task in ["done", "held"] {
        bench.add(task).await;
    }
    let done = bench.take_one(&idle).await;
    bench.finish_job("queue", &done.id).await.unwrap();
    let held = bench.take_one(&holder).await;
    assert_eq!(bench.forget_consumers("queue", LONG).await.unwrap(), 0);

    bench.pass(SHORT).await;
    let forgotten = bench.forget_consumers("queue", SHORT).await.unwrap();

    assert_eq!(forgotten, 1);
    assert_eq!(bench.hold_jobs(&holder, &[held.id]).await.unwrap(), 1, "who holds something stays");
    bench.add("new").await;
    assert_eq!(tasks(&bench.take(&idle, 1).await), ["new"], "whoever comes back is known again");
    assert_eq!(bench.forget_consumers("never there", SHORT).await.unwrap(), 0);
}

pub(super) async fn queues_are_apart_and_take_any_text(bench: Bench) {
    let texts = ["", "mxc://a/b", "*3\r\n$1", "\0", "ü", &"long ".repeat(20_000)];
    for text in texts {
        bench.add(text).await;
    }
    let other = Consumer { queue: "queue}:aside".to_owned(), ..consumer("one", LONG) };

    assert_eq!(bench.take(&other, 9).await, []);
    assert_eq!(tasks(&bench.take(&consumer("o}n{e \r\n", LONG), 9).await), texts);
}
