//! What arrives, and in which pieces.

use std::sync::{Arc, atomic::Ordering};

use futures_util::StreamExt;
use heliograph_matrix::{
    SignedRequest,
    testing::{Step, answer, json},
};
use heliograph_proto::{contract_suite, testing::Way};
use heliograph_types::ErrorCode;
use tokio::sync::Notify;

use super::fixture::{AFTER, BEFORE, Fixture, MULTIPART, media, open_head, our_key, read_all, send, us};

contract_suite! {
    media_is_fetched_served_and_stored,
    the_first_byte_reaches_the_caller_before_the_last_is_sent,
    callers_at_once_share_one_fetch_and_late_ones_read_what_is_there,
    the_fetch_goes_on_when_its_caller_leaves,
    a_slow_caller_of_large_media_gets_every_byte,
    what_is_too_large_is_refused_by_length_and_by_count,
}

async fn media_is_fetched_served_and_stored(way: Way) {
    let fixture = Fixture::start(|_| media("hello")).await.by(way).await;

    let fetched = fixture.fetch("m1").await.unwrap();

    assert_eq!(fetched.content_type.as_str(), "text/plain");
    assert_eq!(fetched.file_name.as_ref().map(ToString::to_string).as_deref(), Some("a.txt"));
    assert_eq!(read_all(fetched).await.unwrap(), b"hello");
    let record = fixture.record("m1").await.unwrap();
    assert_eq!(record.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((record.size_bytes, record.file_name.as_ref().unwrap().as_str()), (5, "a.txt"));
    assert_eq!(fixture.log(), ["begin", "commit"]);
}

#[actix_rt::test]
async fn the_request_is_signed_as_the_origin_will_check_it() {
    let fixture = Fixture::start(|_| media("hello")).await;

    fixture.read("m1").await.unwrap();

    let request = &fixture.server.requests()[0];
    assert_eq!(request.target(), "/_matrix/federation/v1/media/download/m1?timeout_ms=2000");
    assert_eq!(request.header("host"), Some(fixture.origin.as_str()));
    let credentials = heliograph_matrix::Credentials::parse(request.header("authorization").unwrap()).unwrap();
    let (origin, destination) = (us(), fixture.origin.clone());
    assert_eq!((&credentials.origin, credentials.destination.as_ref()), (&origin, Some(&destination)));
    let signed = SignedRequest { method: "GET", target: request.target(), origin: &origin, destination: &destination };
    assert!(signed.is_signed_by(&our_key().public_key(), &credentials.signature));
}

async fn the_first_byte_reaches_the_caller_before_the_last_is_sent(way: Way) {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fixture = Fixture::start(move |_| {
        vec![open_head(), send(BEFORE), send("first"), Step::Wait(Arc::clone(&wait)), send("last"), send(AFTER)]
    })
    .await
    .by(way)
    .await;

    let mut fetched = fixture.fetch("m1").await.unwrap();
    let first = fetched.body.next().await.unwrap().unwrap();

    assert_eq!(first, "first", "the origin waits for us to go on");
    assert!(fixture.record("m1").await.is_none());
    gate.notify_one();
    assert_eq!(read_all(fetched).await.unwrap(), b"last");
    assert!(fixture.record("m1").await.is_some(), "the end means that it is durable");
}

async fn callers_at_once_share_one_fetch_and_late_ones_read_what_is_there(way: Way) {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fixture = Fixture::start(move |_| {
        vec![open_head(), send(BEFORE), send("first,"), Step::Wait(Arc::clone(&wait)), send("last"), send(AFTER)]
    })
    .await
    .by(way)
    .await;
    let mut early = fixture.fetch("m1").await.unwrap();
    let beginning = early.body.next().await.unwrap().unwrap();

    let late = fixture.fetch("m1").await.unwrap();
    gate.notify_one();

    assert_eq!(read_all(late).await.unwrap(), b"first,last");
    assert_eq!([beginning.to_vec(), read_all(early).await.unwrap()].concat(), b"first,last");
    assert_eq!(fixture.server.requests().len(), 1);
}

async fn the_fetch_goes_on_when_its_caller_leaves(way: Way) {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fixture = Fixture::start(move |_| {
        vec![open_head(), send(BEFORE), send("first,"), Step::Wait(Arc::clone(&wait)), send("last"), send(AFTER)]
    })
    .await
    .by(way)
    .await;

    drop(fixture.fetch("m1").await.unwrap());
    gate.notify_one();
    fixture.settle().await;

    assert_eq!(fixture.record("m1").await.unwrap().size_bytes, 10);
    assert_eq!(fixture.read("m1").await.unwrap(), b"first,last", "the copy is served");
    assert_eq!(fixture.server.requests().len(), 1);
}

async fn a_slow_caller_of_large_media_gets_every_byte(way: Way) {
    let content: Vec<u8> = (0..9_000_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let expected = content.clone();
    let fixture = Fixture::start(move |_| media(&content)).await.by(way).await;

    let mut slow = fixture.fetch("m1").await.unwrap();
    let mut read = slow.body.next().await.unwrap().unwrap().to_vec();
    fixture.settle().await;
    read.extend(read_all(slow).await.unwrap());

    assert!(read == expected);
}

/// What was fetched goes then, while the slow one reads it.
#[actix_rt::test]
async fn a_slow_caller_of_content_that_was_there_before_gets_every_byte() {
    let content: Vec<u8> = (0..9_000_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let expected = content.clone();
    let fixture = Fixture::start(move |_| media(&content)).await;
    fixture.uploads.shares.store(true, Ordering::SeqCst);

    let mut slow = fixture.fetch("m1").await.unwrap();
    let mut read = slow.body.next().await.unwrap().unwrap().to_vec();
    fixture.settle().await;
    read.extend(read_all(slow).await.unwrap());

    assert!(read == expected);
}

#[actix_rt::test]
async fn what_ends_early_is_an_error_and_leaves_nothing() {
    let whole = format!("{BEFORE}hello");
    for steps in [
        vec![open_head(), send(&whole), Step::Cut],
        vec![open_head(), send(&whole)],
        vec![Step::Send(format!("HTTP/1.1 200 OK\r\n{MULTIPART}Content-Length: 9999\r\n\r\n{whole}").into_bytes())],
        vec![Step::Send(
            format!("HTTP/1.1 200 OK\r\n{MULTIPART}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{whole}\r\n", whole.len())
                .into_bytes(),
        )],
    ] {
        let fixture = Fixture::start(move |_| steps.clone()).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

        fixture.settle().await;
        assert_eq!((fixture.record("m1").await, fixture.stored_blobs().await), (None, 0));
        assert_eq!(fixture.log(), ["begin", "abort"]);
    }
}

#[actix_rt::test]
async fn after_the_closing_delimiter_a_cut_connection_is_the_end() {
    let (never, whole) = (Arc::new(Notify::new()), format!("{BEFORE}hello\r\n--B--"));
    let longer = format!("HTTP/1.1 200 OK\r\n{MULTIPART}Content-Length: 9999\r\n\r\n{whole}");
    for steps in [
        vec![open_head(), send(&whole), Step::Cut],
        vec![open_head(), send(BEFORE), send("hello"), send("\r\n--B"), send("--\r\nepilogue"), Step::Cut],
        vec![send(longer), Step::Cut],
        vec![open_head(), send(&whole), Step::Wait(never)],
    ] {
        let fixture = Fixture::start(move |_| steps.clone()).await;

        assert_eq!(fixture.read("m1").await.unwrap(), b"hello");
        assert_eq!(fixture.log(), ["begin", "commit"]);
    }
}

#[actix_rt::test]
async fn a_delimiter_that_does_not_close_is_not_the_end_of_a_cut_connection() {
    for end in ["\r\n--B", "\r\n--B-", "\r\n--B\r\n"] {
        let fixture =
            Fixture::start(move |_| vec![open_head(), send(BEFORE), send("hello"), send(end), Step::Cut]).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway, "{end:?}");
    }
}

#[actix_rt::test]
async fn a_body_that_breaks_off_is_the_fault_of_the_medium_for_a_moment() {
    let short = |config: &mut heliograph_matrix::FederationConfig| {
        config.read_timeout = std::time::Duration::from_millis(300);
    };
    let (never, whole) = (Arc::new(Notify::new()), format!("{BEFORE}hello"));
    let longer = format!("HTTP/1.1 200 OK\r\n{MULTIPART}Content-Length: 9999\r\n\r\n{whole}");
    for broken in [
        vec![open_head(), send(&whole), Step::Cut],
        vec![send(longer)],
        vec![open_head(), Step::Cut],
        vec![open_head(), send(&whole), Step::Wait(never)],
    ] {
        let fixture = Fixture::start_with(short, move |request| match request.target() {
            target if target.contains("broken") => broken.clone(),
            _ => media("hello"),
        })
        .await;

        assert_eq!(fixture.code("broken").await, ErrorCode::BadGateway);
        fixture.settle().await;
        assert_eq!(fixture.code("broken").await, ErrorCode::BadGateway);
        assert_eq!(fixture.server.requests().len(), 1, "it is remembered");

        assert_eq!(fixture.read("m1").await.unwrap(), b"hello", "the origin is not left alone");
        fixture.clock.advance(std::time::Duration::from_secs(16));
        assert_eq!(fixture.code("broken").await, ErrorCode::BadGateway);
        assert_eq!(fixture.server.requests().len(), 3, "but not for long");
    }
}

#[actix_rt::test]
async fn what_ends_when_its_framing_says_so_needs_no_closing_delimiter() {
    let whole = format!("{BEFORE}hello");
    let chunk = format!("{:x}\r\n{whole}\r\n0\r\n\r\n", whole.len());
    let chunked = format!("HTTP/1.1 200 OK\r\n{MULTIPART}Transfer-Encoding: chunked\r\n\r\n{chunk}");
    for steps in [answer("200 OK", MULTIPART, &whole), vec![send(chunked)]] {
        let fixture = Fixture::start(move |_| steps.clone()).await;

        assert_eq!(fixture.read("m1").await.unwrap(), b"hello");
    }
}

#[actix_rt::test]
async fn a_third_part_that_turns_up_late_spoils_it_all() {
    let body = format!("{BEFORE}hello\r\n--B\r\n\r\nthird{AFTER}");
    let fixture = Fixture::start(move |_| answer("200 OK", MULTIPART, &body)).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

    fixture.settle().await;
    assert_eq!((fixture.record("m1").await, fixture.stored_blobs().await), (None, 0));
}

#[actix_rt::test]
async fn an_answer_that_is_not_multipart_is_refused_and_remembered() {
    for steps in [json("200 OK", "{}"), answer("200 OK", MULTIPART, "hello"), answer("200 OK", "", "hello")] {
        let fixture = Fixture::start(move |_| steps.clone()).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
        fixture.settle().await;
        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

        assert_eq!((fixture.server.requests().len(), fixture.log().len()), (1, 0));
    }
}

async fn what_is_too_large_is_refused_by_length_and_by_count(way: Way) {
    let large = vec![b'x'; 11_000_000];
    let told = media(&large);
    let untold = vec![open_head(), send(BEFORE), send(&large), send(AFTER)];
    for steps in [told, untold] {
        let fixture = Fixture::start(move |_| steps.clone()).await.by(way).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::RemoteTooLarge);

        fixture.settle().await;
        assert_eq!((fixture.record("m1").await, fixture.stored_blobs().await), (None, 0));
        assert_eq!(fixture.code("m1").await, ErrorCode::RemoteTooLarge, "remembered");
        assert_eq!(fixture.server.requests().len(), 1);
    }
}

#[actix_rt::test]
async fn the_limit_is_exact_whatever_wraps_the_content() {
    let fixture = Fixture::start(|request| match request.target() {
        target if target.contains("fits") => media(vec![b'x'; 10_000_000]),
        _ => media(vec![b'x'; 10_000_001]),
    })
    .await;

    assert_eq!(fixture.read("fits").await.unwrap().len(), 10_000_000);
    assert_eq!(fixture.code("over").await, ErrorCode::RemoteTooLarge);
}

#[actix_rt::test]
async fn a_picture_is_recognized_by_its_bytes() {
    let fixture = Fixture::start(|_| media(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")).await;

    fixture.read("m1").await.unwrap();

    let record = fixture.record("m1").await.unwrap();
    assert_eq!(record.content_type.as_str(), "text/plain");
    assert_eq!(record.sniffed_type.as_ref().map(heliograph_types::ContentType::as_str), Some("image/png"));
}
