//! Media at a server of their own (MSC3859): it is asked first, and nothing is lost with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use heliograph_matrix::testing::{Step, TestRequest, answer, json};
use heliograph_proto::FindKey;
use heliograph_types::ErrorCode;

use super::fixture::{Fixture, media, open_head, send, us};

const BOTH: &str = r#"{"m.server":"origin.example","m.media_server":"media.example"}"#;

/// An origin that says `well_known`, with media of its own, and `answers` of its media server.
async fn origin(
    well_known: &'static str,
    answers: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
) -> Fixture {
    let mut fixture = Fixture::start(move |request| match request.target() {
        "/.well-known/matrix/server" => json("200 OK", well_known),
        _ if request.header("host") == Some("media.example") => answers(request),
        _ => media("usual"),
    })
    .await;
    fixture.origin = "origin.example".parse().unwrap();
    fixture
}

/// Who was asked for media so far, in order.
fn asked(fixture: &Fixture) -> Vec<String> {
    let requests = fixture.server.requests();
    let of_media = requests.iter().filter(|request| request.target().contains("/download/"));
    of_media.map(|request| request.header("host").unwrap().to_owned()).collect()
}

#[actix_rt::test]
async fn the_media_server_is_asked_in_the_name_of_the_origin() {
    for well_known in [BOTH, r#"{"com.beeper.msc3859.m.media_server":"media.example"}"#] {
        let fixture = origin(well_known, |_| media("theirs")).await;

        assert_eq!(fixture.read("a").await.unwrap(), b"theirs");

        assert_eq!(asked(&fixture), ["media.example"]);
        let requests = fixture.server.requests();
        let credentials = requests.last().unwrap().header("authorization").unwrap();
        let credentials = heliograph_matrix::Credentials::parse(credentials).unwrap();
        assert_eq!((credentials.origin, credentials.destination), (us(), Some(fixture.origin.clone())));
    }
}

#[actix_rt::test]
async fn where_it_does_not_answer_the_usual_server_is_asked_and_for_a_while_that_alone() {
    let unrecognized = || json("404 X", r#"{"errcode":"M_UNRECOGNIZED"}"#);
    let answers: [fn() -> Vec<Step>; 7] = [
        || vec![Step::Cut],
        || json("502 X", "{}"),
        || answer("404 X", "", "<html>"),
        || answer("200 OK", "Content-Type: text/html\r\n", "<html>parked"),
        || answer("200 OK", "Content-Encoding: gzip\r\n", "x"),
        || answer("302 X", "Location: https://elsewhere.example/\r\n", ""),
        || vec![open_head(), send("--C"), Step::Cut],
    ];
    for (index, answer) in answers.into_iter().chain([unrecognized as fn() -> Vec<Step>]).enumerate() {
        let fixture = origin(BOTH, move |_| answer()).await;

        assert_eq!(fixture.read("a").await.unwrap(), b"usual", "{index}");
        fixture.settle().await;
        let tried = asked(&fixture).len();
        assert_eq!(fixture.read("b").await.unwrap(), b"usual", "{index}");

        assert_eq!(asked(&fixture)[tried..], ["origin.example"], "{index}");
        assert!(asked(&fixture)[..tried - 1].iter().all(|host| host == "media.example"), "{index}");
    }
}

#[actix_rt::test]
async fn one_that_cannot_be_reached_is_tried_again_later() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let fixture =
        origin(BOTH, move |_| if up.load(Ordering::SeqCst) { media("theirs") } else { vec![Step::Cut] }).await;
    assert_eq!(fixture.read("a").await.unwrap(), b"usual");
    fixture.settle().await;

    is_up.store(true, Ordering::SeqCst);
    fixture.clock.advance(Duration::from_mins(20));

    assert_eq!(fixture.read("b").await.unwrap(), b"theirs");
}

#[actix_rt::test]
async fn a_name_without_an_address_or_with_a_forbidden_one_is_no_obstacle() {
    for well_known in [
        r#"{"m.server":"origin.example","m.media_server":"gone.example"}"#,
        r#"{"m.server":"origin.example","m.media_server":"10.0.0.1"}"#,
        r#"{"m.server":"origin.example","m.media_server":"media.example/"}"#,
        r#"{"m.server":"origin.example","m.media_server":["media.example"]}"#,
    ] {
        let fixture = origin(well_known, |_| media("theirs")).await;

        assert_eq!(fixture.read("a").await.unwrap(), b"usual", "{well_known}");
    }
}

#[actix_rt::test]
async fn an_answer_of_matrix_is_final() {
    for (status, errcode, expected) in [
        ("404 X", "M_NOT_FOUND", ErrorCode::NotFound),
        ("403 X", "M_FORBIDDEN", ErrorCode::BadGateway),
        ("429 X", "M_LIMIT_EXCEEDED", ErrorCode::BadGateway),
        ("502 X", "M_TOO_LARGE", ErrorCode::RemoteTooLarge),
        ("504 X", "M_NOT_YET_UPLOADED", ErrorCode::NotYetUploaded),
    ] {
        let body = format!(r#"{{"errcode":"{errcode}","error":"x"}}"#);
        let fixture = origin(BOTH, move |_| json(status, &body)).await;

        assert_eq!(fixture.code("a").await, expected, "{errcode}");

        assert_eq!(asked(&fixture), ["media.example"], "{errcode}");
    }
}

#[actix_rt::test]
async fn keys_are_asked_of_the_usual_server() {
    let fixture = origin(BOTH, |_| media("theirs")).await;

    let wanted = FindKey { server_name: fixture.origin.clone(), key_id: "ed25519:a".to_owned() };
    assert!(fixture.contract.find_key(wanted).await.is_err());

    let requests = fixture.server.requests();
    let key_request = requests.iter().find(|request| request.target() == "/_matrix/key/v2/server").unwrap();
    assert_eq!(key_request.header("host"), Some("origin.example"));
}
