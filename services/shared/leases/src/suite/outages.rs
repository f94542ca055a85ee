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
    Allowance, Budget, Budgets, Caches, Holdings, Indexes, Leases, LedgerEntry, Ledgers, RedisState, Signals, Spent,
    StateConfig, StateError,
};

const LONG: Duration = Duration::from_hours(1);

/// Far longer than any timeout in use here: what is not over by then hangs.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("it hangs")
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

    assert_eq!(errors.len(), 8);
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
async fn every_key_has_the_prefix_and_only_indexes_and_ledgers_stay() {
    let Some(server) = RedisServer::start() else { return };
    let state = connect(&server);
    let lease = state.try_acquire("a", LONG).await.unwrap().unwrap();
    state.renew(&lease, LONG).await.unwrap();
    state.try_spend("b", Budget { capacity: 2, period: LONG }, 1).await.unwrap();
    state.cache("c", Bytes::new(), LONG).await.unwrap();
    state.insert("d", "member", 1).await.unwrap();
    enter(&state, "member").await;

    let keys = ["lease:a", "budget:b", "cache:c", "index:d", LEDGER[0], LEDGER[1], LEDGER[2]]
        .map(|key| server.tell(&format!("TTL heliograph:{key}")));

    assert_eq!(server.tell("DBSIZE"), ":7\r\n");
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
