//! What becomes of the state when servers of a cluster come, go, hang, and hand slots over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    bench::{IMPATIENT, connect_as},
    forms::{Cluster, PASSWORD, Redis, Shared},
    outages::{every_kind_works, soon, until_up},
    server::wait_until,
};
use crate::{
    Allowance, Caches, Holdings, LedgerEntry, Ledgers, RedisForm, RedisState, Signals, StateConfig, StateError,
    redis::slot_of,
};

const LONG: Duration = Duration::from_hours(1);

/// For tests that leave it as it is, but for a slot.
static CALM: Shared<Cluster> = Shared::new();

fn impatient(cluster: &Cluster) -> RedisState {
    let config = StateConfig { timeout: IMPATIENT, ..cluster.config() };
    RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap()
}

/// A key of the cache that lies on this one of the three masters.
fn key_on(master: u16, nth: usize) -> String {
    let is_there = |key: &String| {
        let slot = slot_of(format!("heliograph:cache:{key}").as_bytes());
        slot / 5461 == master
    };
    (0..).map(|number| format!("key{number}")).filter(is_there).nth(nth).unwrap()
}

async fn write(state: &RedisState, key: String) -> Result<(), StateError> {
    state.cache(&key, Bytes::from_static(b"value"), LONG).await
}

pub(super) async fn a_killed_master_is_replaced_and_the_others_go_on_meanwhile() {
    replace_a_killed_master(Cluster::start(1)).await;
}

pub(super) async fn over_tls_a_killed_master_is_replaced_and_the_others_go_on_meanwhile() {
    replace_a_killed_master(Cluster::start_over_tls(1)).await;
}

async fn replace_a_killed_master(cluster: Option<Cluster>) {
    let Some(mut cluster) = cluster else { return };
    let state = Arc::new(connect_as(cluster.config()));
    for master in 0..3 {
        until_up(|| write(&state, key_on(master, 0))).await;
    }
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU16::new(0)));
    let load = TaskTracker::new().spawn({
        let (state, stop, written) = (Arc::clone(&state), Arc::clone(&stop), Arc::clone(&written));
        async move {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = written.fetch_add(1, Ordering::Relaxed);
                failed.extend(write(&state, key_on(1 + number % 2, 0)).await.err());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            failed
        }
    });
    let goes_on = async || {
        let enough = written.load(Ordering::Relaxed) + 50;
        soon(async {
            while written.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };

    cluster.servers[0].kill();
    let lost = write(&state, key_on(0, 0)).await;
    goes_on().await;
    cluster.promote(3);
    until_up(|| write(&state, key_on(0, 0))).await;
    goes_on().await;
    stop.store(true, Ordering::Relaxed);

    assert!(lost.is_err());
    let failed = load.await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    until_up(|| every_kind_works(&state)).await;
    until_up(|| state.ping()).await;
    cluster.servers[0].restart();
    cluster.wait_for_role(0, "slave");
    every_kind_works(&connect_as(cluster.config())).await.unwrap();
}

pub(super) async fn while_a_master_hangs_its_keys_fail_at_once_and_no_others() {
    let Some(cluster) = Cluster::start(0) else { return };
    let state = Arc::new(impatient(&cluster));
    for master in 0..3 {
        until_up(|| write(&state, key_on(master, 0))).await;
    }

    cluster.servers[0].signal("STOP");
    let lost = write(&state, key_on(0, 0)).await.unwrap_err();
    let tries = TaskTracker::new().spawn({
        let state = Arc::clone(&state);
        async move { while write(&state, key_on(0, 0)).await.is_err() {} }
    });
    // While one tries, the next who comes does not wait at all.
    soon(async {
        while !matches!(write(&state, key_on(0, 1)).now_or_never(), Some(Err(_))) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let other_master = write(&state, key_on(1, 0)).await;
    let not_all = state.ping().await;

    assert_eq!(lost.reason, format!("no answer within {IMPATIENT:?}"));
    other_master.unwrap();
    assert!(not_all.is_err() && !tries.is_finished());
    cluster.servers[0].signal("CONT");
    soon(tries).await.unwrap();
    until_up(|| state.ping()).await;
}

pub(super) async fn a_master_that_hangs_is_replaced_and_may_come_back() {
    let Some(cluster) = Cluster::start(1) else { return };
    let state = impatient(&cluster);
    until_up(|| every_kind_works(&state)).await;

    cluster.servers[0].signal("STOP");
    cluster.lose_patience();
    until_up(|| write(&state, key_on(0, 0))).await;
    cluster.wait_for_role(3, "master");
    cluster.regain_patience();
    cluster.servers[0].signal("CONT");
    cluster.wait_for_role(0, "slave");

    until_up(|| every_kind_works(&state)).await;
    assert!(state.find_cached(&key_on(0, 0)).await.unwrap().is_some());
}

pub(super) async fn who_listens_to_a_server_that_dies_listens_to_another() {
    let Some(mut cluster) = Cluster::start(0) else { return };
    let state = connect_as(cluster.config());
    let mut listener = state.subscribe("topic").await.unwrap();
    let post = cluster.servers.iter().position(|server| server.tell("PUBSUB CHANNELS") != "*0\r\n").unwrap();

    cluster.servers[post].kill();

    assert_eq!(soon(listener.next()).await, None);
    // It may be the one by which the message would have gone.
    until_up(|| state.publish("topic", "again")).await;
    while soon(listener.next()).await.is_none() {}
}

pub(super) async fn a_slot_that_moves_under_load_costs_no_error() {
    let Some(cluster) = CALM.get(|| Cluster::start(0)) else { return };
    let state = Arc::new(connect_as(cluster.config()));
    let account =
        (0..1000).map(|number| format!("account{number}")).find(|account| slot_of_account(account) < 5461).unwrap();
    let slot = slot_of_account(&account);
    let (writer, its_account) = (Arc::clone(&state), account.clone());
    let enter = move |number: usize| {
        let (state, account) = (Arc::clone(&writer), its_account.clone());
        async move {
            let entry = LedgerEntry { member: number.to_string(), bytes: 10, at: 1 };
            state.enter(&account, &entry, None, &Allowance::default()).await.map(drop)
        }
    };
    enter(0).await.unwrap();
    let load = TaskTracker::new().spawn(async move {
        for number in 1..300 {
            enter(number).await?;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Ok::<_, StateError>(())
    });

    let cluster = tokio::task::spawn_blocking(move || {
        move_slot(&cluster, slot);
        cluster
    });
    let cluster = cluster.await.unwrap();

    load.await.unwrap().unwrap();
    assert_eq!(state.holdings(&account).await.unwrap(), Holdings { bytes: 3000, files: 300 });
    let counted = |server: usize| cluster.servers[server].tell(&format!("CLUSTER COUNTKEYSINSLOT {slot}"));
    assert_eq!((counted(0).as_str(), counted(1).as_str()), (":0\r\n", ":3\r\n"));
}

fn slot_of_account(account: &str) -> u16 {
    slot_of(format!("heliograph:ledger:{{account:{account}}}").as_bytes())
}

/// From the first server to the second, key by key.
fn move_slot(cluster: &Cluster, slot: u16) {
    let ids = [cluster.id(0), cluster.id(1)];
    let [from, to] = [&cluster.servers[0], &cluster.servers[1]];
    let ok = |answer: String| assert_eq!(answer, "+OK\r\n");
    ok(to.tell(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0])));
    ok(from.tell(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1])));
    loop {
        let answer = from.tell(&format!("CLUSTER GETKEYSINSLOT {slot} 1"));
        let Some(key) = answer.lines().nth(2) else { break };
        let answer = from.tell(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000 AUTH {PASSWORD}", to.port()));
        assert!(matches!(answer.as_str(), "+OK\r\n" | "+NOKEY\r\n"), "{answer}");
        // Long enough for callers to meet a slot whose keys are in two places.
        std::thread::sleep(Duration::from_millis(50));
    }
    for server in [to, from, &cluster.servers[2]] {
        ok(server.tell(&format!("CLUSTER SETSLOT {slot} NODE {}", ids[1])));
    }
}

pub(super) async fn every_server_learns_every_script() {
    let Some(cluster) = CALM.get(|| Cluster::start(0)) else { return };
    let state = connect_as(cluster.config());
    every_kind_works(&state).await.unwrap();

    for server in &cluster.servers {
        assert_eq!(server.tell("SCRIPT FLUSH"), "+OK\r\n");
    }

    for number in 0..30 {
        state.claim(&format!("account{number}"), "claim", 1, LONG, &Allowance::default()).await.unwrap().unwrap();
    }
    assert!(cluster.servers.iter().all(|server| server.tell("DBSIZE") != ":0\r\n"));
}

pub(super) async fn keys_lie_where_the_servers_say() {
    let Some(cluster) = CALM.get(|| Cluster::start(0)) else { return };
    for key in ["a", "{a}b", "x{y}z", "{}", "heliograph:ledger:{account:e}:at"] {
        let told = cluster.servers[0].tell(&format!("CLUSTER KEYSLOT {key}"));

        assert_eq!(told, format!(":{}\r\n", slot_of(key.as_bytes())));
    }
}

pub(super) async fn it_tells_of_every_server_and_of_slots_without_one() {
    let Some(cluster) = Cluster::start(1) else { return };
    let replica = format!(":{}\r\n", cluster.servers[3].port());
    // They tell of a replica once they know how far it is.
    for server in &cluster.servers {
        wait_until("the replica is told of", || server.tell("CLUSTER SLOTS").contains(&replica));
    }

    let whole = connect_as(cluster.config()).facts().await.unwrap();
    for server in &cluster.servers[..3] {
        assert_eq!(server.tell("CLUSTER DELSLOTS 0"), "+OK\r\n");
    }
    let state = connect_as(cluster.config());
    let holed = state.facts().await.unwrap();

    assert_eq!(
        (&whole.form, whole.servers.len(), whole.masters().count()),
        (&RedisForm::Cluster { uncovered_slots: 0 }, 4, 3)
    );
    assert_eq!(holed.form, RedisForm::Cluster { uncovered_slots: 1 });
    assert!(state.ping().await.unwrap_err().to_string().contains("no server has 1 of the slots"));
}
