//! Keys of other servers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use heliograph_matrix::{
    SigningKey,
    testing::{Step, TestRequest, json},
};
use heliograph_proto::{FederationService, FindKey, FoundKey, contract_suite, testing::Way};
use heliograph_types::{Clock, ErrorCode, Failure};
use tokio::sync::Notify;

use super::{
    documents::{key, signed_document},
    fixture::Fixture,
};

/// A key document as its server signs it.
fn document(request: &TestRequest, keys: &[SigningKey], valid_until: u64) -> String {
    signed_document(request.header("host").unwrap(), keys, valid_until, None)
}

async fn find(fixture: &Fixture, key_id: &str) -> Result<Option<FoundKey>, Failure> {
    let request = FindKey { server_name: fixture.origin.clone(), key_id: key_id.to_owned() };
    fixture.contract.find_key(request).await
}

const NOW: u64 = 1_800_000_000_000;

contract_suite! {
    a_key_is_fetched_once_and_believed_as_long_as_its_server_says,
    an_unknown_key_makes_us_ask_again_at_most_once_a_minute,
}

async fn a_key_is_fetched_once_and_believed_as_long_as_its_server_says(way: Way) {
    let fixture = Fixture::start(|request| json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + 600_000)))
        .await
        .by(way)
        .await;

    let both = tokio::join!(find(&fixture, "ed25519:a"), find(&fixture, "ed25519:a"));
    fixture.clock.advance(Duration::from_secs(299));
    find(&fixture, "ed25519:a").await.unwrap();
    fixture.settle().await;

    let found = both.0.unwrap().unwrap();
    assert_eq!(found.public_key, key("ed25519:a", 1).public_key());
    assert_eq!(found.valid_until.as_millis(), NOW + 600_000);
    assert_eq!(fixture.targets(), ["/_matrix/key/v2/server"]);
    fixture.clock.advance(Duration::from_secs(301));
    assert_eq!(find(&fixture, "ed25519:a").await.unwrap_err().code, ErrorCode::BadGateway, "it has expired");
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn keys_are_renewed_in_the_background_before_they_expire() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |request| {
        let lifetime = if count.fetch_add(1, Ordering::SeqCst) == 0 { 600_000 } else { 86_400_000 };
        json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + lifetime))
    })
    .await;
    find(&fixture, "ed25519:a").await.unwrap();

    fixture.clock.advance(Duration::from_mins(5));
    let old = find(&fixture, "ed25519:a").await.unwrap().unwrap();
    fixture.settle().await;
    let new = find(&fixture, "ed25519:a").await.unwrap().unwrap();

    assert_eq!((old.valid_until.as_millis(), new.valid_until.as_millis()), (NOW + 600_000, NOW + 86_400_000));
    assert_eq!(fixture.server.requests().len(), 2);
}

async fn an_unknown_key_makes_us_ask_again_at_most_once_a_minute(way: Way) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |request| {
        let mut keys = vec![key("ed25519:a", 1)];
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            keys.push(key("ed25519:b", 2));
        }
        json("200 OK", &document(request, &keys, NOW + 86_400_000))
    })
    .await
    .by(way)
    .await;

    assert_eq!(find(&fixture, "ed25519:b").await, Ok(None));
    assert_eq!(find(&fixture, "ed25519:b").await, Ok(None));
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(Duration::from_mins(1));

    assert!(find(&fixture, "ed25519:b").await.unwrap().is_some());
    assert!(find(&fixture, "ed25519:a").await.unwrap().is_some());
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn failures_are_remembered_and_do_not_displace_valid_keys() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => json("500 Oops", "{}"),
        1 => json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + 86_400_000)),
        _ => json("200 OK", "{}"),
    })
    .await;

    for _ in 0..2 {
        assert_eq!(find(&fixture, "ed25519:a").await.unwrap_err().code, ErrorCode::BadGateway);
    }
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(Duration::from_secs(30));
    assert!(find(&fixture, "ed25519:a").await.unwrap().is_some());
    fixture.clock.advance(Duration::from_mins(1));
    assert_eq!(find(&fixture, "ed25519:b").await.unwrap_err().code, ErrorCode::BadGateway);
    assert!(find(&fixture, "ed25519:a").await.unwrap().is_some(), "still valid");
    assert_eq!(fixture.server.requests().len(), 3);
}

#[actix_rt::test]
async fn a_key_that_is_valid_is_not_replaced_under_its_id() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |request| {
        let seed = if count.fetch_add(1, Ordering::SeqCst) == 0 { 1 } else { 9 };
        json("200 OK", &document(request, &[key("ed25519:a", seed)], NOW + 86_400_000))
    })
    .await;
    find(&fixture, "ed25519:a").await.unwrap();
    fixture.clock.advance(Duration::from_mins(1));
    find(&fixture, "ed25519:new").await.unwrap();

    let found = find(&fixture, "ed25519:a").await.unwrap().unwrap();

    assert_eq!((found.public_key, fixture.server.requests().len()), (key("ed25519:a", 1).public_key(), 2));
    assert!(fixture.clock.now() < found.valid_until);
}

#[actix_rt::test]
async fn a_server_gets_its_way_with_a_changed_key_once_the_old_one_expires() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |request| {
        let (seed, lifetime) = if count.fetch_add(1, Ordering::SeqCst) == 0 { (1, 600_000) } else { (9, 86_400_000) };
        json("200 OK", &document(request, &[key("ed25519:a", seed)], NOW + lifetime))
    })
    .await;
    find(&fixture, "ed25519:a").await.unwrap();
    fixture.clock.advance(Duration::from_mins(1));
    find(&fixture, "ed25519:new").await.unwrap();

    let old = find(&fixture, "ed25519:a").await.unwrap().unwrap();
    fixture.clock.advance(Duration::from_mins(9));
    let new = find(&fixture, "ed25519:a").await.unwrap().unwrap();

    assert_eq!((old.public_key, old.valid_until.as_millis()), (key("ed25519:a", 1).public_key(), NOW + 600_000));
    assert_eq!((new.public_key, new.valid_until.as_millis()), (key("ed25519:a", 9).public_key(), NOW + 86_400_000));
}

#[actix_rt::test]
async fn keys_are_fetched_on_our_runtime_and_the_fetch_outlives_its_caller() {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let fixture = Fixture::start(move |request| {
        tell.notify_one();
        let answer = json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + 600_000));
        [vec![Step::Wait(Arc::clone(&wait))], answer].concat()
    })
    .await;
    let request = FindKey { server_name: fixture.origin.clone(), key_id: "ed25519:a".to_owned() };
    let (service, seen) = (Arc::clone(&fixture.service), Arc::clone(&asked));

    tokio::task::spawn_blocking(move || {
        let without_sockets = tokio::runtime::Builder::new_current_thread().build().unwrap();
        without_sockets.block_on(async {
            tokio::select! {
                _ = service.find_key(request) => unreachable!("the server waits"),
                () = seen.notified() => {}
            }
        });
    })
    .await
    .unwrap();
    gate.notify_one();

    assert!(find(&fixture, "ed25519:a").await.unwrap().is_some());
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn other_algorithms_are_not_asked_for() {
    let fixture = Fixture::start(|_| json("200 OK", "{}")).await;

    assert_eq!(find(&fixture, "curve25519:a").await, Ok(None));
    assert_eq!(fixture.server.requests().len(), 0);
}

#[actix_rt::test]
async fn what_one_instance_has_fetched_no_other_asks_for() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut fixture = Fixture::start(move |request| {
        let lifetime = if count.fetch_add(1, Ordering::SeqCst) == 0 { 600_000 } else { 86_400_000 };
        json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + lifetime))
    })
    .await;
    let first = find(&fixture, "ed25519:a").await.unwrap().unwrap();

    fixture.restart();

    assert_eq!(find(&fixture, "ed25519:a").await, Ok(Some(first)));
    assert_eq!(find(&fixture, "ed25519:b").await, Ok(None), "the minute is that of all instances");
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(Duration::from_mins(5));
    find(&fixture, "ed25519:a").await.unwrap();
    fixture.settle().await;
    fixture.restart();
    let renewed = find(&fixture, "ed25519:a").await.unwrap().unwrap();
    assert_eq!((renewed.valid_until.as_millis(), fixture.server.requests().len()), (NOW + 86_400_000, 2));
}

#[actix_rt::test]
async fn what_is_shared_is_believed_no_longer_than_its_server_says() {
    let mut fixture =
        Fixture::start(|request| json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + 600_000))).await;
    find(&fixture, "ed25519:a").await.unwrap();
    fixture.clock.advance(Duration::from_mins(10));

    fixture.restart();

    assert_eq!(find(&fixture, "ed25519:a").await.unwrap_err().code, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn a_document_that_is_too_large_is_not_read() {
    let fixture = Fixture::start(|request| {
        let document = document(request, &[key("ed25519:a", 1)], NOW + 600_000);
        json("200 OK", &format!("{}{document}", " ".repeat(64 << 10)))
    })
    .await;

    assert_eq!(find(&fixture, "ed25519:a").await.unwrap_err().code, ErrorCode::BadGateway);
}

/// Another spelling of the origin's name: to Matrix each is another server.
fn spelled(fixture: &Fixture, number: usize) -> FindKey {
    let mut bits = number;
    let spell = |letter: char| {
        let is_upper = letter.is_ascii_alphabetic() && bits & 1 == 1;
        bits >>= usize::from(letter.is_ascii_alphabetic());
        if is_upper { letter.to_ascii_uppercase() } else { letter }
    };
    let name: String = fixture.origin.as_str().chars().map(spell).collect();
    FindKey { server_name: name.parse().unwrap(), key_id: "ed25519:a".to_owned() }
}

#[actix_rt::test]
async fn made_up_servers_take_no_room_from_those_that_are_known() {
    const ROOM: usize = 256;
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let fixture = Fixture::start(move |request| {
        let answer = json("200 OK", &document(request, &[key("ed25519:a", 1)], NOW + 600_000));
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return answer;
        }
        [vec![Step::Wait(Arc::clone(&wait))], answer].concat()
    })
    .await;
    find(&fixture, "ed25519:a").await.unwrap();

    let made_up = (1..=ROOM).map(|number| {
        let (service, request) = (Arc::clone(&fixture.service), spelled(&fixture, number));
        actix_rt::spawn(async move { service.find_key(request).await })
    });
    let made_up: Vec<_> = made_up.collect();
    while asked.load(Ordering::SeqCst) <= ROOM {
        tokio::task::yield_now().await;
    }
    let one_more = fixture.service.find_key(spelled(&fixture, ROOM + 1)).await;
    fixture.clock.advance(Duration::from_mins(1));
    let renewed = fixture.service.find_key(FindKey { key_id: "ed25519:b".to_owned(), ..spelled(&fixture, 0) });
    let renewed = tokio::select! {
        renewed = renewed => renewed,
        () = async { loop { gate.notify_waiters(); tokio::task::yield_now().await; } } => unreachable!("it never ends"),
    };

    assert_eq!(one_more.unwrap_err().code, ErrorCode::LimitExceeded);
    assert_eq!(renewed, Ok(None), "it is asked all the same");
    for made_up in made_up {
        assert!(made_up.await.unwrap().unwrap().is_some());
    }
}
