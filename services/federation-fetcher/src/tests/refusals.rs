//! What an origin refuses, and what we remember of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use heliograph_matrix::testing::{Step, answer, json};
use heliograph_proto::{FederationService, Fetch};
use heliograph_types::{ErrorCode, Mxc};

use super::fixture::{Fixture, media, us};

fn error(
    status: &'static str,
    errcode: &'static str,
) -> impl Fn(&heliograph_matrix::testing::TestRequest) -> Vec<Step> {
    move |_| json(status, &format!(r#"{{"errcode":"{errcode}","error":"x"}}"#))
}

#[actix_rt::test]
async fn not_found_is_final_and_remembered_for_minutes() {
    let fixture = Fixture::start(error("404 Not Found", "M_NOT_FOUND")).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);
    fixture.settle().await;
    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);

    assert_eq!(fixture.server.requests().len(), 1, "no older endpoint was tried");
    fixture.clock.advance(Duration::from_secs(301));
    assert_eq!(fixture.code("m1").await, ErrorCode::NotFound);
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix_rt::test]
async fn not_yet_uploaded_is_not_remembered() {
    let fixture = Fixture::start(error("504 Gateway Timeout", "M_NOT_YET_UPLOADED")).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::NotYetUploaded);
    fixture.settle().await;
    assert_eq!(fixture.code("m1").await, ErrorCode::NotYetUploaded);

    assert_eq!(fixture.server.requests().len(), 2);
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
async fn a_throttle_is_passed_on_and_obeyed() {
    let fixture =
        Fixture::start(|_| answer("429 Slow", "Retry-After: 40\r\n", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#)).await;

    let first = fixture.fetch("m1").await.unwrap_err();
    fixture.settle().await;
    fixture.clock.advance(Duration::from_secs(30));
    let second = fixture.fetch("m2").await.unwrap_err();

    assert_eq!((first.code, first.retry_after), (ErrorCode::BadGateway, Some(Duration::from_secs(40))));
    assert_eq!((second.code, second.retry_after), (ErrorCode::BadGateway, Some(Duration::from_secs(10))));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn refusals_of_our_signature_are_a_bad_gateway() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let fixture = Fixture::start(error(status, "M_FORBIDDEN")).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
        assert_eq!(fixture.server.requests().len(), 1);
    }
}

#[actix_rt::test]
async fn we_never_ask_ourselves() {
    let fixture = Fixture::start(|_| media("hello")).await;
    let mxc = Mxc { server_name: us(), media_id: "m1".parse().unwrap() };

    let failure = fixture.service.fetch(Fetch { tenant: us(), mxc, timeout: Duration::ZERO }).await.unwrap_err();

    assert_eq!(failure.code, ErrorCode::NotFound);
}

#[actix_rt::test]
async fn addresses_that_are_not_public_are_not_asked() {
    let fixture = Fixture::start_with(|config| config.allow_addresses.clear(), |_| media("hello")).await;

    let by_name = fixture.fetch("m1").await.unwrap_err();
    let mxc = format!("mxc://127.0.0.1:{}/m1", fixture.server.port()).parse().unwrap();
    let by_address = fixture.service.fetch(Fetch { tenant: us(), mxc, timeout: Duration::ZERO }).await.unwrap_err();

    assert_eq!((by_name.code, by_address.code), (ErrorCode::BadGateway, ErrorCode::BadGateway));
    assert!(by_name.message.contains("refused") && by_address.message.contains("refused"));
    assert_eq!(fixture.server.requests().len(), 0);
}
