//! What Redis may do to us: be down, hang, come back, forget.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use heliograph_types::Secret;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    bench::{connect, connect_within},
    server::RedisServer,
};
use crate::{
    Again, Allowance, Budget, Budgets, Caches, Consumer, Consuming, Holdings, Indexes, Job, JobId, Leases, LedgerEntry,
    Ledgers, QueueStanding, Queues, RedisState, Signals, Spent, State, StateConfig, StateError, Worked, Worker,
    consume, enqueue,
};

const LONG: Duration = Duration::from_hours(1);

/// Far longer than any timeout in use here, and than a busy machine takes: what is not over by then hangs.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(3), work).await.expect("it hangs")
}

/// Asks until Redis answers again.
pub(super) async fn until_up<T, F: Future<Output = Result<T, StateError>>>(ask: impl Fn() -> F) -> T {
    soon(async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

async fn every_kind_fails(state: &RedisState) -> Vec<StateError> {
    vec![
        soon(state.ping()).await.unwrap_err(),
        soon(state.try_acquire("key", LONG)).await.unwrap_err(),
        soon(state.publish("topic", "message")).await.unwrap_err(),
        soon(state.subscribe("new topic")).await.unwrap_err(),
        soon(state.try_spend("key", Budget { capacity: 1, period: LONG }, 1)).await.unwrap_err(),
        soon(state.cache("key", Bytes::new(), LONG)).await.unwrap_err(),
        soon(state.range("index", 1, 1)).await.unwrap_err(),
        soon(state.claim("account", "claim", 1, LONG, &Allowance::default())).await.unwrap_err(),
        soon(state.add_job("queue", "job", 1)).await.unwrap_err(),
        soon(state.take_jobs(&consumer(), 1)).await.unwrap_err(),
    ]
}

/// One operation of each kind, with keys all over a cluster.
pub(super) async fn every_kind_works(state: &RedisState) -> Result<(), StateError> {
    for number in 0..20 {
        let name = number.to_string();
        state.cache(&name, Bytes::from_static(b"value"), LONG).await?;
        state.find_cached(&name).await?;
        state.insert_within("index", &name, number, 0, 100).await?;
        state.range(&name, 1, 1).await?;
        state.try_spend(&name, Budget { capacity: 1000, period: LONG }, 1).await?;
        state.publish("topic", &name).await?;
        let entry = LedgerEntry { member: name.clone(), bytes: 1, at: number };
        let _ = state.enter(&name, &entry, None, &Allowance::default()).await?;
        state.holdings(&name).await?;
        if let Some(lease) = state.try_acquire(&name, LONG).await? {
            state.renew(&lease, LONG).await?;
            state.release(&lease).await?;
        }
    }
    drop(state.subscribe("topic").await?);
    Ok(())
}

#[tokio::test]
async fn a_killed_server_gives_errors_and_a_restarted_one_works_again() {
    let Some(mut server) = RedisServer::start() else { return };
    let state = connect(&server);
    let mut listener = state.subscribe("topic").await.unwrap();
    state.insert("index", "a", 1).await.unwrap();

    server.kill();
    let errors = every_kind_fails(&state).await;
    server.restart();

    assert_eq!(errors.len(), 10);
    until_up(|| state.ping()).await;
    assert!(state.try_acquire("key", LONG).await.unwrap().is_some());
    assert_eq!(soon(listener.next()).await, None);
    state.publish("topic", "again").await.unwrap();
    assert_eq!(soon(listener.next()).await.as_deref(), Some("again"));
    until_up(|| state.subscribe("new topic")).await;
}

#[tokio::test]
async fn a_restart_between_two_commands_is_not_noticed() {
    let Some(mut server) = RedisServer::start() else { return };
    let state = connect(&server);
    state.ping().await.unwrap();

    server.kill();
    server.restart();

    state.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_costs_no_more_than_the_timeout() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect_within(&server, Duration::from_millis(300));
    until_up(|| state.ping()).await;
    let mut listener = until_up(|| state.subscribe("topic")).await;

    server.signal("STOP");
    let errors = every_kind_fails(&state).await;
    server.signal("CONT");

    assert!(errors.iter().all(|error| error.reason == "no answer within 300ms"), "{errors:?}");
    until_up(|| state.ping()).await;
    assert_eq!(soon(listener.next()).await, None);
    until_up(|| state.publish("topic", "again")).await;
    while soon(listener.next()).await.is_none() {}
}

#[tokio::test]
async fn while_a_server_hangs_one_caller_tries_and_the_others_fail_at_once() {
    let Some(server) = RedisServer::start() else { return };
    server.signal("STOP");
    let state = connect_within(&server, Duration::from_millis(300));
    let found_down = soon(state.ping()).await;

    let mut tries = Box::pin(state.ping());
    let pending = (&mut tries).now_or_never();
    let other = state.ping().now_or_never();

    assert!(found_down.is_err());
    assert!(pending.is_none());
    assert!(other.expect("it should not wait").is_err());
    drop(tries);
    server.signal("CONT");
    until_up(|| state.ping()).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_awaited() {
    let Some(mut server) = RedisServer::start() else { return };
    server.kill();
    let state = connect(&server);

    let before = soon(state.ping()).await;
    server.restart();

    assert!(before.is_err());
    until_up(|| state.ping()).await;
    until_up(|| state.subscribe("topic")).await;
}

#[tokio::test]
async fn a_server_that_forgets_everything_does_no_harm() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    let mut listener = state.subscribe("topic").await.unwrap();
    let lost = state.try_acquire("key", LONG).await.unwrap().unwrap();
    state.insert_within("index", "a", 1, 0, 1).await.unwrap();

    server.tell("FLUSHALL");
    server.tell("SCRIPT FLUSH");

    assert!(!state.renew(&lost, LONG).await.unwrap());
    let next = state.try_acquire("key", LONG).await.unwrap().unwrap();
    assert!(next.fence > lost.fence);
    state.release(&lost).await.unwrap();
    assert!(state.renew(&next, LONG).await.unwrap());
    assert!(state.insert_within("index", "b", 1, 0, 1).await.unwrap());
    assert_eq!(state.try_spend("key", Budget { capacity: 1, period: LONG }, 1).await.unwrap(), Spent::Yes);
    state.publish("topic", "still").await.unwrap();
    assert_eq!(soon(listener.next()).await.as_deref(), Some("still"));
}

fn consumer() -> Consumer {
    Consumer { queue: "queue".to_owned(), name: "consumer".to_owned(), unheard_for: LONG }
}

/// Whoever looks at a queue of which any part was forgotten goes on as if it were new.
#[tokio::test]
async fn a_queue_that_was_forgotten_takes_jobs_again() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    for forgets in ["FLUSHALL", "XGROUP DESTROY heliograph:queue:{queue} heliograph"] {
        state.add_job("queue", "lost", 1).await.unwrap().unwrap();
        let [lost] = &state.take_jobs(&consumer(), 1).await.unwrap()[..] else { panic!("there was one") };
        let lost: &JobId = &lost.id;

        server.tell(forgets);

        assert_eq!(state.hold_jobs(&consumer(), std::slice::from_ref(lost)).await.unwrap(), 0, "{forgets}");
        assert!(!state.give_job_back(&consumer(), lost, Again::Later).await.unwrap(), "{forgets}");
        assert!(!state.set_job_aside(&consumer(), lost, "lost", 1).await.unwrap(), "{forgets}");
        assert_eq!(state.forget_consumers("queue", LONG).await.unwrap(), 0, "{forgets}");
        // Without its group, a queue still has its jobs.
        assert_eq!(state.finish_job("queue", lost).await.unwrap(), forgets != "FLUSHALL");
        assert_eq!(state.measure_queue("queue").await.unwrap(), QueueStanding::default(), "{forgets}");
        assert_eq!(state.add_job("queue", "new", 1).await.unwrap(), Some(1), "{forgets}");
        let taken: Vec<Job> = state.take_jobs(&consumer(), 9).await.unwrap();
        assert_eq!(taken.len(), 1, "{forgets}");
        assert!(state.finish_job("queue", &taken[0].id).await.unwrap());
    }
}

#[tokio::test]
async fn jobs_outlive_who_took_them_and_an_operator_who_removes_one_by_hand_stops_nothing() {
    let Some(server) = RedisServer::start() else { return };
    let here = connect(&server);
    for job in ["a", "b"] {
        here.add_job("queue", job, 9).await.unwrap().unwrap();
    }
    let here_consumer = Consumer { unheard_for: Duration::from_millis(1), ..consumer() };
    let taken = here.take_jobs(&here_consumer, 2).await.unwrap();
    drop(here);

    server.tell(&format!("XDEL heliograph:queue:{{queue}} {}", taken[0].id));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let there = connect(&server);
    let other = Consumer { name: "other".to_owned(), ..here_consumer };
    let left = there.take_jobs(&other, 9).await.unwrap();

    assert_eq!(left.iter().map(|job| (job.task.as_str(), job.tries)).collect::<Vec<_>>(), [("b", 2)]);
    there.finish_job("queue", &left[0].id).await.unwrap();
    assert_eq!(there.measure_queue("queue").await.unwrap(), QueueStanding::default());
}

/// What an autoscaler reads. The lag that `XINFO GROUPS` tells is none: without an answer as soon as the
/// last job that was taken is done while an older one is not.
#[tokio::test]
async fn a_stream_is_as_long_as_there_are_jobs_that_are_not_done() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    let length = || server.tell("XLEN heliograph:queue:{queue}");
    for n in 0..6 {
        state.add_job("queue", &n.to_string(), 99).await.unwrap().unwrap();
    }

    let taken = state.take_jobs(&consumer(), 4).await.unwrap();
    assert_eq!(length(), ":6\r\n");
    for job in [&taken[1], &taken[3]] {
        state.finish_job("queue", &job.id).await.unwrap();
    }
    assert_eq!((length().as_str(), state.measure_queue("queue").await.unwrap().lag), (":4\r\n", 2));
    state.give_job_back(&consumer(), &taken[2].id, Again::Later).await.unwrap();
    state.set_job_aside(&consumer(), &taken[0].id, "no", 9).await.unwrap();
    assert_eq!(length(), ":3\r\n");
}

/// Does everything at once.
struct Willing(tokio::sync::mpsc::UnboundedSender<String>);

#[async_trait::async_trait]
impl Worker for Willing {
    async fn work(&self, task: &str) -> Worked {
        self.0.send(task.to_owned()).unwrap();
        Worked::Done
    }
}

#[tokio::test]
async fn whoever_works_through_a_queue_goes_on_after_an_outage() {
    let Some(mut server) = RedisServer::start() else { return };
    let state: State = std::sync::Arc::new(connect_within(&server, Duration::from_millis(300)));
    let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
    let consuming = Consuming {
        queue: "queue".to_owned(),
        name: "consumer".to_owned(),
        at_once: std::num::NonZeroUsize::MIN,
        tries: std::num::NonZeroU32::MIN,
        most_aside: 1,
    };
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let worker = std::sync::Arc::new(Willing(done));
    tasks.spawn(consume(State::clone(&state), consuming, worker, shutdown.clone()));
    until_up(|| enqueue(&state, "queue", "before", 9)).await;
    assert_eq!(soon(told.recv()).await.as_deref(), Some("before"));

    server.kill();
    assert!(enqueue(&state, "queue", "lost", 9).await.is_err());
    server.restart();
    until_up(|| enqueue(&state, "queue", "after", 9)).await;

    while soon(told.recv()).await.as_deref() != Some("after") {}
    shutdown.cancel();
    tasks.close();
    soon(tasks.wait()).await;
}

/// The keys of the ledger that is used here.
const LEDGER: [&str; 3] = ["ledger:{account:e}", "ledger:{account:e}:at", "ledger:{account:e}:bytes"];

async fn enter(state: &RedisState, member: &str) {
    let entry = LedgerEntry { member: member.to_owned(), bytes: 10, at: 1 };
    state.enter("e", &entry, None, &Allowance::default()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_ledger_of_which_any_part_is_forgotten_is_whole_once_all_is_entered_again() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    for forgotten in LEDGER {
        enter(&state, "a").await;
        enter(&state, "b").await;

        server.tell(&format!("DEL heliograph:{forgotten}"));
        enter(&state, "a").await;
        enter(&state, "b").await;

        assert_eq!(state.holdings("e").await.unwrap(), Holdings { bytes: 20, files: 2 }, "{forgotten}");
        assert_eq!(state.entries("e", true, 0, 10).await.unwrap().len(), 2, "{forgotten}");
        server.tell(&format!("DEL heliograph:{forgotten}"));
        state.strike("e", "a").await.unwrap();
        assert_eq!(state.holdings("e").await.unwrap(), Holdings::default(), "{forgotten}");
    }
}

#[tokio::test]
async fn an_account_that_has_nothing_leaves_no_key() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);

    enter(&state, "a").await;
    state.claim("e", "claim", 1, LONG, &Allowance::default()).await.unwrap().unwrap();
    state.strike("e", "a").await.unwrap();
    state.unclaim("e", "claim").await.unwrap();

    assert_eq!(server.tell("DBSIZE"), ":0\r\n");
}

#[tokio::test]
async fn claims_that_ended_and_slots_that_left_do_not_pile_up() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    let brief = Duration::from_millis(5);
    let allowance =
        Allowance { most_bytes_per_period: Some((u64::MAX, Duration::from_millis(32))), ..Allowance::default() };

    for n in 0..300 {
        let entry = LedgerEntry { member: n.to_string(), bytes: 1, at: u64::MAX };
        state.enter("e", &entry, None, &allowance).await.unwrap().unwrap();
        state.claim("e", &n.to_string(), 1, brief, &allowance).await.unwrap().unwrap();
    }
    tokio::time::sleep(10 * brief).await;
    state.claim("e", "last", 1, LONG, &allowance).await.unwrap().unwrap();

    // The totals and the last claim: every slot has left by now.
    assert_eq!(server.tell(&format!("HLEN heliograph:{}", LEDGER[0])), ":3\r\n");
}

#[tokio::test]
async fn a_process_listens_once_to_a_topic_and_only_while_anyone_does() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);

    let first = state.subscribe("topic").await.unwrap();
    let second = state.subscribe("topic").await.unwrap();
    let counted = server.tell("PUBSUB NUMSUB heliograph:signal:topic");
    drop((first, second));

    assert!(counted.ends_with(":1\r\n"), "{counted}");
    soon(async {
        while server.tell("PUBSUB CHANNELS") != "*0\r\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn signals_and_state_are_shared_by_processes_with_one_prefix_and_by_no_others() {
    let Some(server) = RedisServer::start() else { return };
    let (one, two) = (connect(&server), connect(&server));
    let config = StateConfig {
        redis_url: Some(Secret::new(server.url())),
        key_prefix: "other:".to_owned(),
        timeout: Duration::from_secs(20),
        ..StateConfig::default()
    };
    let other = RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap();
    let mut listener = two.subscribe("topic").await.unwrap();

    other.publish("topic", "from others").await.unwrap();
    one.publish("topic", "from us").await.unwrap();
    one.cache("key", Bytes::from_static(b"ours"), LONG).await.unwrap();

    assert_eq!(soon(listener.next()).await.as_deref(), Some("from us"));
    assert!(two.find_cached("key").await.unwrap().is_some());
    assert!(other.find_cached("key").await.unwrap().is_none());
}

#[tokio::test]
async fn every_key_has_the_prefix_and_only_indexes_ledgers_and_queues_stay() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    let lease = state.try_acquire("a", LONG).await.unwrap().unwrap();
    state.renew(&lease, LONG).await.unwrap();
    state.try_spend("b", Budget { capacity: 2, period: LONG }, 1).await.unwrap();
    state.cache("c", Bytes::new(), LONG).await.unwrap();
    state.insert("d", "member", 1).await.unwrap();
    enter(&state, "member").await;
    state.add_job("f", "aside", 2).await.unwrap().unwrap();
    state.add_job("f", "job", 2).await.unwrap().unwrap();
    let consumer = Consumer { queue: "f".to_owned(), ..consumer() };
    let job = state.take_jobs(&consumer, 1).await.unwrap().remove(0);
    state.set_job_aside(&consumer, &job.id, "reason", 1).await.unwrap();

    let queue = ["queue:{f}", "queue:{f}:aside"];
    let keys = ["lease:a", "budget:b", "cache:c", "index:d", LEDGER[0], LEDGER[1], LEDGER[2], queue[0], queue[1]]
        .map(|key| server.tell(&format!("TTL heliograph:{key}")));

    assert_eq!(server.tell("DBSIZE"), ":9\r\n");
    for expiring in &keys[..3] {
        let seconds: i64 = expiring.trim_start_matches(':').trim_end().parse().unwrap();
        assert!((1..=2 * 3600).contains(&seconds), "{keys:?}");
    }
    assert!(keys[3..].iter().all(|staying| staying == ":-1\r\n"), "{keys:?}");
}

#[tokio::test]
async fn errors_name_the_server_and_never_the_password() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.url().replace("redis://", "redis://name:hunter2@");
    let config = StateConfig { redis_url: Some(Secret::new(url)), ..StateConfig::default() };
    let state = RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap();

    let error = state.ping().await.unwrap_err().to_string();

    assert!(error.starts_with("ping at redis 127.0.0.1:"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_url_that_cannot_be_understood_is_refused_without_showing_it() {
    for url in
        ["redis:hunter2", "http://name:hunter2@host", "redis://name:hunter2@host:99999", "redis://", "redis:///0", ""]
    {
        let config = StateConfig { redis_url: Some(Secret::new(url.to_owned())), ..StateConfig::default() };

        let refused = RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new());

        let error = refused.err().unwrap().to_string();
        assert!(error.contains("redis_url") && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn the_listening_task_ends_at_shutdown() {
    let Some(server) = RedisServer::start() else { return };
    let config = StateConfig { redis_url: Some(Secret::new(server.url())), ..StateConfig::default() };
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let state = RedisState::connect(&config, &tasks, shutdown.clone()).unwrap();

    shutdown.cancel();
    tasks.close();
    soon(tasks.wait()).await;

    assert!(state.subscribe("topic").await.unwrap_err().to_string().ends_with("we are shutting down"));
}
