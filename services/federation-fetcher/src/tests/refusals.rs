//! What an origin refuses, and what we remember of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use heliograph_matrix::{
    FederationConfig,
    testing::{Step, answer, json},
};
use heliograph_proto::{FederationService, Fetch, FindKey, contract_suite, testing::Way};
use heliograph_types::{ErrorCode, Mxc};
use tokio::sync::Notify;

use super::fixture::{AFTER, BEFORE, Fixture, media, open_head, read_all, send, us};

fn error(
    status: &'static str,
    errcode: &'static str,
) -> impl Fn(&heliograph_matrix::testing::TestRequest) -> Vec<Step> {
    move |_| json(status, &format!(r#"{{"errcode":"{errcode}","error":"x"}}"#))
}

contract_suite! {
    not_found_is_final_and_remembered_for_minutes,
    not_yet_uploaded_is_not_remembered,
    a_throttle_is_passed_on_and_obeyed,
    refusals_of_our_signature_are_a_bad_gateway,
    a_blocked_server_is_asked_for_nothing,
}

async fn not_found_is_final_and_remembered_for_minutes(way: Way) {
    let fixture = Fixture::start(error("404 Not Found", "M_NOT_FOUND")).await.by(way).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);
    fixture.settle().await;
    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);

    assert_eq!(fixture.server.requests().len(), 1, "no older endpoint was tried");
    fixture.clock.advance(Duration::from_secs(301));
    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);
    assert_eq!(fixture.server.requests().len(), 2);
}

async fn not_yet_uploaded_is_not_remembered(way: Way) {
    let fixture = Fixture::start(error("504 Gateway Timeout", "M_NOT_YET_UPLOADED")).await.by(way).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::NotYetUploaded);
    fixture.settle().await;
    assert_eq!(fixture.code("m1").await, ErrorCode::NotYetUploaded);

    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn who_joins_a_caller_that_waits_for_less_waits_as_long_as_he_wants() {
    let (calls, asked, gate) = (AtomicUsize::new(0), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let fixture = Fixture::start(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) > 0 {
            return media("hello");
        }
        tell.notify_one();
        let late = json("504 Gateway Timeout", r#"{"errcode":"M_NOT_YET_UPLOADED"}"#);
        [vec![Step::Wait(Arc::clone(&wait))], late].concat()
    })
    .await;

    let mut joiner = Box::pin(fixture.fetch_within("m1", Duration::from_secs(20)));
    let (impatient, ()) = tokio::join!(fixture.fetch_within("m1", Duration::ZERO), async {
        asked.notified().await;
        // Messages of one thread reach the actor in order: this one joins by now.
        assert!(futures_util::poll!(&mut joiner).is_pending());
        gate.notify_one();
    });
    let joiner = joiner.await.unwrap();

    assert_eq!(impatient.unwrap_err().code, ErrorCode::NotYetUploaded);
    assert_eq!(read_all(joiner).await.unwrap(), b"hello");
    let targets = fixture.targets();
    assert!(targets[0].ends_with("timeout_ms=0") && !targets[1].ends_with("timeout_ms=0"), "{targets:?}");
    assert_eq!(targets.len(), 2);
}

#[actix_rt::test]
async fn a_broken_origin_is_left_alone_for_a_while() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fixture = Fixture::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("500 Oops", "", "<html>"),
        _ => media("hello"),
    })
    .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    fixture.settle().await;
    let refused = fixture.fetch("m2").await.unwrap_err();

    assert_eq!((refused.code, fixture.server.requests().len()), (ErrorCode::BadGateway, 1));
    assert!(refused.retry_after.is_some());
    fixture.clock.advance(Duration::from_secs(3));
    assert_eq!(fixture.read("m2").await.unwrap(), b"hello");
}

#[actix_rt::test]
async fn an_origin_that_hangs_up_without_an_answer_is_left_alone() {
    let fixture = Fixture::start(|request| match request.target() {
        target if target.contains("m1") => vec![Step::Cut],
        _ => media("hello"),
    })
    .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    fixture.settle().await;

    assert!(fixture.fetch("m2").await.unwrap_err().retry_after.is_some());
}

async fn a_throttle_is_passed_on_and_obeyed(way: Way) {
    let fixture = Fixture::start(|_| answer("429 Slow", "Retry-After: 40\r\n", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#))
        .await
        .by(way)
        .await;

    let first = fixture.fetch("m1").await.unwrap_err();
    fixture.settle().await;
    fixture.clock.advance(Duration::from_secs(30));
    let second = fixture.fetch("m2").await.unwrap_err();

    assert_eq!((first.code, first.retry_after), (ErrorCode::BadGateway, Some(Duration::from_secs(40))));
    assert_eq!((second.code, second.retry_after), (ErrorCode::BadGateway, Some(Duration::from_secs(10))));
    assert_eq!(fixture.server.requests().len(), 1);
}

async fn refusals_of_our_signature_are_a_bad_gateway(way: Way) {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let fixture = Fixture::start(error(status, "M_FORBIDDEN")).await.by(way).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
        assert_eq!(fixture.server.requests().len(), 1);
    }
}

async fn a_blocked_server_is_asked_for_nothing(way: Way) {
    let block = |config: &mut FederationConfig| config.blocked_servers = vec!["*.example".to_owned()];
    let allow = |config: &mut FederationConfig| config.allowed_servers = vec!["friends.org".to_owned()];
    for change in [block, allow] {
        let fixture = Fixture::start_with(change, |_| media("hello")).await.by(way).await;
        let key = FindKey { server_name: fixture.origin.clone(), key_id: "ed25519:a".to_owned() };

        assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);
        assert_eq!(fixture.contract.find_key(key).await.unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(fixture.contract.locate(&fixture.origin).await.unwrap_err().code, ErrorCode::NotFound);

        assert_eq!(fixture.server.requests().len(), 0);
    }
}

#[actix_rt::test]
async fn what_is_too_large_is_not_fetched_again_for_long() {
    let fixture = Fixture::start(|_| media(vec![b'x'; 11_000_000])).await;

    for _ in 0..2 {
        assert_eq!(fixture.code("m1").await, ErrorCode::RemoteTooLarge);
        fixture.settle().await;
        fixture.clock.advance(Duration::from_hours(12) - Duration::from_secs(1));
    }
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(Duration::from_secs(2));
    assert_eq!(fixture.code("m1").await, ErrorCode::RemoteTooLarge);
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn who_has_sent_too_much_is_asked_again_when_there_is_room() {
    let little = |config: &mut FederationConfig| {
        (config.max_bytes_per_origin, config.origin_period) = (bytesize::ByteSize(10), Duration::from_mins(1));
    };
    let fixture = Fixture::start_with(little, |_| media("fifteen bytes!!")).await;
    fixture.read("m1").await.unwrap();

    let refused = fixture.fetch("m2").await.unwrap_err();

    assert_eq!((refused.code, refused.retry_after), (ErrorCode::LimitExceeded, Some(Duration::from_secs(36))));
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(Duration::from_secs(36));
    assert_eq!(fixture.read("m2").await.unwrap(), b"fifteen bytes!!");
}

#[actix_rt::test]
async fn after_an_outage_one_is_asked_and_the_others_wait_for_its_answer_but_not_for_its_end() {
    let (calls, asked, gate) = (AtomicUsize::new(0), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let fixture = Fixture::start(move |request| {
        calls.fetch_add(1, Ordering::SeqCst);
        match request.target() {
            target if target.contains("outage") => json("500 Oops", "{}"),
            target if target.contains("probe") => {
                tell.notify_one();
                let pause = || Step::Wait(Arc::clone(&wait));
                vec![pause(), open_head(), send(BEFORE), send("slow"), pause(), send(AFTER)]
            }
            _ => media("hello"),
        }
    })
    .await;
    fixture.code("outage").await;
    fixture.settle().await;
    fixture.clock.advance(Duration::from_secs(3));

    let mut other = Box::pin(fixture.read("other"));
    let (probe, ()) = tokio::join!(fixture.fetch("probe"), async {
        asked.notified().await;
        // Messages of one thread reach the actor in order: this one waits by now.
        assert!(futures_util::poll!(&mut other).is_pending());
        gate.notify_one();
    });

    assert_eq!(other.await.unwrap(), b"hello");
    assert_eq!(fixture.server.requests().len(), 3);
    gate.notify_one();
    assert_eq!(read_all(probe.unwrap()).await.unwrap(), b"slow");
}

#[actix_rt::test]
async fn we_never_ask_ourselves() {
    let fixture = Fixture::start(|_| media("hello")).await;
    let mxc = Mxc { server_name: us(), media_id: "m1".parse().unwrap() };

    let failure = fixture
        .service
        .fetch(Fetch { tenant: us(), mxc, timeout: Duration::ZERO, for_thumbnail: false })
        .await
        .unwrap_err();

    assert_eq!(failure.code, ErrorCode::NotFound);
}

#[actix_rt::test]
async fn addresses_that_are_not_public_are_not_asked() {
    let fixture = Fixture::start_with(|config| config.allow_addresses.clear(), |_| media("hello")).await;

    let by_name = fixture.fetch("m1").await.unwrap_err();
    let mxc = format!("mxc://127.0.0.1:{}/m1", fixture.server.port()).parse().unwrap();
    let by_address = fixture
        .service
        .fetch(Fetch { tenant: us(), mxc, timeout: Duration::ZERO, for_thumbnail: false })
        .await
        .unwrap_err();

    let unknown = "mxc://no-such-name.example:1/m1".parse().unwrap();
    let unknown = fixture
        .service
        .fetch(Fetch { tenant: us(), mxc: unknown, timeout: Duration::ZERO, for_thumbnail: false })
        .await
        .unwrap_err();

    assert_eq!((by_name.code, by_address.code), (ErrorCode::BadGateway, ErrorCode::BadGateway));
    assert_eq!((&by_name, &by_address), (&unknown, &unknown), "nothing tells which names there are in our network");
    assert_eq!(fixture.server.requests().len(), 0);
}
