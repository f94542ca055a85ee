//! Transfers that break off, stand still or drip.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use heliograph_matrix::testing::{Step, TestRequest, answer, json};
use heliograph_types::ErrorCode;
use tokio::sync::Notify;

use super::fixture::{AFTER, BEFORE, Fixture, MULTIPART, media, open_head, send};

const FILE: &str = "hello, world";

/// What the origin says of the place of its file.
fn elsewhere(request: &TestRequest, path: &str) -> Vec<Step> {
    let port = request.header("host").unwrap().rsplit_once(':').unwrap().1;
    let body =
        format!("\r\n--B\r\n\r\n{{}}\r\n--B\r\nLocation: https://media.example:{port}{path}\r\n\r\n\r\n--B--\r\n");
    answer("200 OK", MULTIPART, body)
}

fn is_federation(request: &TestRequest) -> bool {
    request.target().starts_with("/_matrix/federation/")
}

/// Where the request wants to go on.
fn begin_of(request: &TestRequest) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// The first bytes of the file, and then the connection is cut.
fn cut(headers: &str, from: usize, to: usize) -> Vec<Step> {
    let (status, range) = match from {
        0 => ("200 OK", String::new()),
        _ => ("206 Partial Content", format!("Content-Range: bytes {from}-11/12\r\n")),
    };
    let length = FILE.len() - from;
    let head = format!("HTTP/1.1 {status}\r\n{headers}{range}Content-Length: {length}\r\n\r\n");
    vec![send(head), send(&FILE[from..to]), Step::Cut]
}

fn rest(headers: &str, from: usize) -> Vec<Step> {
    answer("206 Partial Content", &format!("{headers}Content-Range: bytes {from}-11/12\r\n"), &FILE[from..])
}

const TAG: &str = "Content-Type: text/plain\r\nETag: \"a\"\r\n";

/// What was asked of the place, as ranges with their conditions.
fn asked(fixture: &Fixture) -> Vec<Option<(usize, String)>> {
    let requests = fixture.server.requests();
    let of_place = requests.iter().filter(|request| !is_federation(request));
    of_place.map(|request| Some((begin_of(request)?, request.header("if-range")?.to_owned()))).collect()
}

#[actix_rt::test]
async fn what_broke_off_elsewhere_goes_on_where_it_was() {
    let fixture = Fixture::start(|request| match begin_of(request) {
        _ if is_federation(request) => elsewhere(request, "/file"),
        None => cut(TAG, 0, 5),
        Some(5) => cut(TAG, 5, 8),
        Some(from) => rest(TAG, from),
    })
    .await;

    assert_eq!(fixture.read("m1").await.unwrap(), FILE.as_bytes());

    let at = |at| Some((at, "\"a\"".to_owned()));
    assert_eq!(asked(&fixture), [None, at(5), at(8)]);
    assert_eq!(fixture.record("m1").await.unwrap().size_bytes, 12);
    assert_eq!(fixture.log(), ["begin", "commit"]);
    assert!(
        fixture
            .server
            .requests()
            .iter()
            .all(|request| { is_federation(request) || request.header("authorization").is_none() })
    );
}

#[actix_rt::test]
async fn an_old_server_is_asked_for_the_rest_too() {
    let dates = "Last-Modified: Mon, 02 Nov 2026 00:00:00 GMT\r\nDate: Tue, 03 Nov 2026 00:00:00 GMT\r\n";
    let fixture = Fixture::start(move |request| match begin_of(request) {
        _ if is_federation(request) => json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#),
        None => cut(dates, 0, 7),
        Some(from) => rest(dates, from),
    })
    .await;

    assert_eq!(fixture.read("m1").await.unwrap(), FILE.as_bytes());

    assert_eq!(asked(&fixture), [None, Some((7, "Mon, 02 Nov 2026 00:00:00 GMT".to_owned()))]);
}

#[actix_rt::test]
async fn a_whole_answer_of_the_same_content_is_read_again_up_to_there() {
    let fixture = Fixture::start(|request| match begin_of(request) {
        _ if is_federation(request) => elsewhere(request, "/file"),
        None => cut(TAG, 0, 5),
        Some(_) => answer("200 OK", TAG, FILE),
    })
    .await;

    assert_eq!(fixture.read("m1").await.unwrap(), FILE.as_bytes());
    assert_eq!(fixture.record("m1").await.unwrap().size_bytes, 12);
}

#[actix_rt::test]
async fn a_place_that_has_ended_is_asked_for_again() {
    let places = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&places);
    let fixture = Fixture::start(move |request| match begin_of(request) {
        _ if is_federation(request) => elsewhere(request, &format!("/{}", counted.fetch_add(1, Ordering::SeqCst))),
        None => cut(TAG, 0, 5),
        Some(_) if request.target() == "/0" => answer("403 Forbidden", "", "expired"),
        Some(from) => rest(TAG, from),
    })
    .await;

    assert_eq!(fixture.read("m1").await.unwrap(), FILE.as_bytes());
    assert_eq!(places.load(Ordering::SeqCst), 2);
}

#[actix_rt::test]
async fn other_content_is_never_put_behind_what_was_there() {
    const OTHER: &str = "Content-Type: text/plain\r\nETag: \"b\"\r\n";
    for changed in [
        answer("200 OK", OTHER, FILE),
        rest(OTHER, 5),
        rest(TAG, 6),
        answer("206 Partial Content", &format!("{TAG}Content-Range: bytes 5-12/13\r\n"), "x world!"),
        answer("416 Range Not Satisfiable", TAG, ""),
    ] {
        let fixture = Fixture::start(move |request| match begin_of(request) {
            _ if is_federation(request) => elsewhere(request, "/file"),
            None => cut(TAG, 0, 5),
            Some(_) => changed.clone(),
        })
        .await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

        fixture.settle().await;
        assert_eq!((fixture.record("m1").await, fixture.stored_blobs().await), (None, 0));
        assert_eq!((asked(&fixture).len(), fixture.log()), (2, vec!["begin", "abort"]));
    }
}

#[actix_rt::test]
async fn each_try_must_have_got_something_and_there_are_so_many() {
    let two = |config: &mut heliograph_matrix::FederationConfig| config.max_resumptions = 2;
    for (bytes, tries) in [(0, 1), (1, 2)] {
        let fixture = Fixture::start_with(two, move |request| match begin_of(request) {
            _ if is_federation(request) => elsewhere(request, "/file"),
            None => cut(TAG, 0, 5),
            Some(from) => cut(TAG, from, from + bytes),
        })
        .await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

        assert_eq!(asked(&fixture).len(), 1 + tries, "{bytes} bytes with each try");
    }
}

#[actix_rt::test]
async fn what_cannot_be_told_from_other_content_is_not_gone_on_with() {
    let off = |config: &mut heliograph_matrix::FederationConfig| config.max_resumptions = 0;
    let place = |request: &TestRequest, headers: &'static str| match begin_of(request) {
        _ if is_federation(request) => elsewhere(request, "/file"),
        None => cut(headers, 0, 5),
        Some(from) => rest(headers, from),
    };
    for fixture in [
        Fixture::start(move |request| place(request, "ETag: W/\"a\"\r\n")).await,
        Fixture::start(move |request| place(request, "")).await,
        Fixture::start_with(off, move |request| place(request, TAG)).await,
    ] {
        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
        assert_eq!(asked(&fixture), [None]);
    }
}

#[actix_rt::test]
async fn the_federation_endpoint_has_no_ranges() {
    let headers = format!("{MULTIPART}ETag: \"a\"\r\nAccept-Ranges: bytes\r\n");
    let fixture =
        Fixture::start(move |_| vec![super::fixture::open_head_of(&headers), send(BEFORE), send("hello"), Step::Cut])
            .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn what_drips_is_given_up_and_not_tried_again() {
    // However fast it is, it is slower than this.
    let fast = |config: &mut heliograph_matrix::FederationConfig| {
        config.slowest_rate = u64::MAX.to_string().parse().unwrap();
        config.rate_window = Duration::from_nanos(1);
    };
    let fixture = Fixture::start_with(fast, |request| match begin_of(request) {
        _ if is_federation(request) => json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#),
        None => answer("200 OK", TAG, FILE),
        Some(from) => rest(TAG, from),
    })
    .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);

    fixture.settle().await;
    assert_eq!(asked(&fixture), [None]);
    assert_eq!((fixture.record("m1").await, fixture.stored_blobs().await), (None, 0));
}

#[actix_rt::test]
async fn an_answer_whose_content_does_not_begin_is_given_up() {
    let short = |config: &mut heliograph_matrix::FederationConfig| {
        (config.connect_timeout, config.head_timeout) = (Duration::from_millis(500), Duration::from_millis(500));
    };
    let never = Arc::new(Notify::new());
    for begun in ["", "\r\n--B\r\nContent-Type: appli", &BEFORE[..BEFORE.len() - 2]] {
        let (never, begun) = (Arc::clone(&never), begun.to_owned());
        let fixture = Fixture::start_with(short, move |request| match request.target() {
            target if target.contains("m1") => vec![open_head(), send(&begun), Step::Wait(Arc::clone(&never))],
            _ => media("hello"),
        })
        .await;

        let failure = fixture.fetch_within("m1", Duration::ZERO).await.unwrap_err();

        assert_eq!(failure.code, ErrorCode::BadGateway);
        assert_eq!(fixture.read("m2").await.unwrap(), b"hello", "the origin is not left alone");
    }
}

#[actix_rt::test]
async fn endless_wrapping_is_refused_early() {
    let heads = "\r\n--B\r\nContent-Type: application/json\r\n\r\n{}\r\n--B\r\n";
    for (begun, filler) in [
        ("", "x".repeat(70 << 10)),
        ("\r\n--B\r\nContent-Type: application/json\r\n\r\n", "[".repeat(70 << 10)),
        ("\r\n--B\r\nContent-Type: application/json\r\n", "X-A: b\r\n".repeat(3 << 10)),
        (heads, "X-A: b\r\n".repeat(3 << 10)),
    ] {
        let (never, begun) = (Arc::new(Notify::new()), begun.to_owned());
        // If it were waited for, more would come, and never end.
        let fixture = Fixture::start(move |_| {
            vec![open_head(), send(&begun), send(&filler), Step::Wait(Arc::clone(&never)), send(AFTER)]
        })
        .await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
        assert_eq!(fixture.log(), [""; 0]);
    }
}

#[actix_rt::test]
async fn an_endless_head_is_refused_early() {
    let (never, filler) = (Arc::new(Notify::new()), "x".repeat(1 << 20));
    let many = "X: y\r\n".repeat(200);
    for head in [format!("HTTP/1.1 200 OK\r\nX: {filler}"), format!("HTTP/1.1 200 OK\r\n{many}\r\n")] {
        let never = Arc::clone(&never);
        let fixture = Fixture::start(move |_| vec![send(&head), Step::Wait(Arc::clone(&never))]).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    }
}

#[actix_rt::test]
async fn a_part_that_says_that_it_is_too_large_is_not_read() {
    let never = Arc::new(Notify::new());
    let begun = BEFORE.replace("Content-Type: text/plain", "content-length: 10000001");
    let fixture =
        Fixture::start(move |_| vec![open_head(), send(&begun), send("first"), Step::Wait(Arc::clone(&never))]).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::RemoteTooLarge);
    assert_eq!(fixture.log(), [""; 0]);
}

#[actix_rt::test]
async fn a_server_that_is_not_found_in_time_is_out_of_reach() {
    let short = |config: &mut heliograph_matrix::FederationConfig| config.find_timeout = Duration::from_millis(300);
    let never = Arc::new(Notify::new());
    let fixture = Fixture::start_with(short, move |request| match request.target() {
        "/.well-known/matrix/server" => vec![Step::Wait(Arc::clone(&never))],
        _ => media("hello"),
    })
    .await;

    let mxc = "mxc://origin.example/m1".parse().unwrap();
    let request =
        heliograph_proto::Fetch { tenant: super::fixture::us(), mxc, timeout: Duration::ZERO, for_thumbnail: false };
    let failure = fixture.contract.fetch(request).await.unwrap_err();

    assert_eq!((failure.code, failure.message.as_str()), (ErrorCode::BadGateway, "the other server is out of reach"));
    assert_eq!(fixture.targets(), ["/.well-known/matrix/server"]);
}
