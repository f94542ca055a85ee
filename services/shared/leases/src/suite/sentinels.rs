//! What becomes of the state when the master is lost and a replica takes its place.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use heliograph_types::Secret;

use super::{
    bench::{IMPATIENT, connect_as},
    forms::{PASSWORD, Redis, Shared, Watched},
    outages::{every_kind_works, soon, until_up},
    server::wait_until,
};
use crate::{Caches, RedisState, Signals, StateConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const LONG: Duration = Duration::from_hours(1);

/// For tests that leave them as they are.
static CALM: Shared<Watched> = Shared::new();

fn impatient(servers: &Watched) -> RedisState {
    let config = StateConfig { timeout: IMPATIENT, ..servers.config() };
    RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap()
}

pub(super) async fn a_killed_master_is_replaced_and_comes_back_as_a_replica() {
    replace_a_killed_master(Watched::start()).await;
}

pub(super) async fn over_tls_a_killed_master_is_replaced_and_comes_back_as_a_replica() {
    replace_a_killed_master(Watched::start_over_tls()).await;
}

async fn replace_a_killed_master(servers: Option<Watched>) {
    let Some(mut servers) = servers else { return };
    let (state, other) = (impatient(&servers), impatient(&servers));
    let mut listener = until_up(|| other.subscribe("topic")).await;
    until_up(|| state.cache("key", Bytes::from_static(b"before"), LONG)).await;

    servers.servers[0].kill();
    servers.lose_patience();
    until_up(|| state.cache("key", Bytes::from_static(b"after"), LONG)).await;
    servers.wait_for_master(1);
    servers.servers[0].restart();

    // It thinks that it is a master until a sentinel has told it otherwise.
    until_up(|| every_kind_works(&state)).await;
    assert_eq!(soon(listener.next()).await, None);
    until_up(|| state.publish("topic", "again")).await;
    while soon(listener.next()).await.is_none() {}
    wait_until("the old master follows", || servers.servers[0].tell("INFO replication").contains("role:slave"));
    let found = until_up(|| state.find_cached("key")).await;
    assert_eq!(found.as_deref(), Some(&b"after"[..]));
}

pub(super) async fn who_asked_nothing_during_a_failover_writes_to_the_new_master() {
    let Some(servers) = Watched::start() else { return };
    let (state, idle) = (connect_as(servers.config()), connect_as(servers.config()));
    for one in [&state, &idle] {
        one.ping().await.unwrap();
    }
    let listeners = (state.subscribe("topic").await.unwrap(), idle.subscribe("topic").await.unwrap());

    servers.servers[0].signal("STOP");
    servers.lose_patience();
    wait_until("both have heard of the new master", || {
        servers.servers[1].tell("PUBSUB NUMSUB heliograph:signal:topic").ends_with(":2\r\n")
    });
    servers.wait_for_master(1);
    // It answers again, and has not heard yet that it is no master any more.
    servers.servers[0].signal("CONT");
    soon(idle.cache("key", Bytes::from_static(b"after"), LONG)).await.unwrap();

    let found = soon(state.find_cached("key")).await;
    assert_eq!(found.unwrap().as_deref(), Some(&b"after"[..]));
    drop(listeners);
}

pub(super) async fn while_the_master_hangs_errors_come_soon_and_then_there_is_another() {
    let Some(servers) = Watched::start() else { return };
    let state = impatient(&servers);
    until_up(|| state.ping()).await;

    servers.servers[0].signal("STOP");
    let lost = soon(state.ping()).await.unwrap_err();
    servers.lose_patience();
    until_up(|| every_kind_works(&state)).await;
    servers.wait_for_master(1);
    servers.servers[0].signal("CONT");
    until_up(|| every_kind_works(&state)).await;

    assert_eq!(lost.reason, format!("no answer within {IMPATIENT:?}"));
}

pub(super) async fn sentinels_that_hang_or_are_gone_hide_nothing() {
    let Some(mut servers) = Watched::start() else { return };

    servers.sentinels[0].signal("STOP");
    soon(connect_as(servers.config()).ping()).await.unwrap();
    servers.sentinels[1].kill();
    // The last one of three is believed when the others had their time.
    let later = impatient(&servers);
    until_up(|| later.ping()).await;
    servers.sentinels[0].signal("CONT");
}

pub(super) async fn without_a_sentinel_callers_wait_for_none_but_one() {
    let Some(servers) = Watched::start() else { return };
    for sentinel in &servers.sentinels {
        sentinel.signal("STOP");
    }
    let state = impatient(&servers);
    let found_down = soon(state.ping()).await;

    let mut tries = Box::pin(state.ping());
    let pending = (&mut tries).now_or_never();
    let other = state.ping().now_or_never();

    assert!(found_down.is_err() && pending.is_none());
    assert!(other.expect("it should not wait").is_err());
    drop(tries);
    for sentinel in &servers.sentinels {
        sentinel.signal("CONT");
    }
    until_up(|| state.ping()).await;
}

pub(super) async fn what_is_wrong_is_told_without_a_password() {
    let Some(servers) = CALM.get(Watched::start) else { return };
    let url = servers.config().redis_url.unwrap().expose().clone();
    let with_url = |url: String| StateConfig { redis_url: Some(Secret::new(url)), ..servers.config() };
    let error = async |config| soon(connect_as(config).ping()).await.unwrap_err().to_string();

    let unknown = error(with_url(url.replace("/main", "/other"))).await;
    let refused = error(with_url(url.replace(PASSWORD, "a-wrong-password"))).await;
    let unwatched = error(StateConfig { sentinel_password: None, ..servers.config() }).await;

    assert!(unknown.contains("No such master"), "{unknown}");
    assert!(refused.contains("authentication failed") && !refused.contains("a-wrong-password"), "{refused}");
    assert!(unwatched.contains("uthentication"), "{unwatched}");
}

pub(super) async fn it_tells_who_is_the_master_and_what_each_sentinel_says() {
    let Some(servers) = CALM.get(Watched::start) else { return };

    let facts = connect_as(servers.config()).facts().await.unwrap();

    let master = format!("127.0.0.1:{}", servers.servers[0].port());
    let crate::RedisForm::Sentinels(sentinels) = &facts.form else { panic!("{facts:?}") };
    assert!(sentinels.iter().all(|(_, named)| named.as_ref() == Ok(&master)) && sentinels.len() == 3, "{facts:?}");
    assert_eq!((facts.servers[0].address.as_str(), facts.servers[0].replicas), (master.as_str(), 1));
}
