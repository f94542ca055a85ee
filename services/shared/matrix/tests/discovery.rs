//! Finding servers over real TLS on loopback.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use heliograph_leases::{EmbeddedState, State};
use heliograph_matrix::{
    Destinations, Discovery, FederationConfig, GuardedClient, SendError,
    testing::{FixedLookup, Step, TestAuthority, TestServer, answer, json},
};
use heliograph_types::{ManualClock, ServerName, Timestamp};

fn config(authority: &TestAuthority) -> FederationConfig {
    FederationConfig {
        ca_file: Some(authority.ca_file()),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        connect_timeout: Duration::from_secs(2),
        ..FederationConfig::default()
    }
}

fn client(config: &FederationConfig, names: &[(&str, SocketAddr)]) -> GuardedClient {
    GuardedClient::new(config, Arc::new(FixedLookup::new(names.iter().copied()))).unwrap()
}

fn discovery(client: GuardedClient) -> (Discovery, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let state = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
    (Discovery::new(client, clock.clone(), state), clock)
}

async fn find(discovery: &Discovery, name: &str) -> String {
    discovery.find(&name.parse::<ServerName>().unwrap()).await.unwrap().name().to_string()
}

/// The place for media, if it is another, and the usual one.
async fn find_for_media(discovery: &Discovery, name: &str) -> (Option<String>, String) {
    let found = discovery.find_for_media(&name.parse().unwrap()).await.unwrap();
    let Destinations { media, usual } = found;
    (media.map(|media| media.name().to_string()), usual.name().to_string())
}

#[tokio::test]
async fn addresses_and_ports_are_taken_without_asking() {
    let (discovery, _) = discovery(client(&FederationConfig::default(), &[]));

    for name in ["1.2.3.4", "[2001:db8::1]:99", "a.example:443", "a.example:8448"] {
        assert_eq!(find(&discovery, name).await, name);
    }
    for name in ["127.1", "0x7f000001", "1.2.3", "2130706433:1", "0177.0.0.1"] {
        assert!(discovery.find(&name.parse().unwrap()).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_well_known_answer_is_followed_through_redirects_and_remembered() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example", "b.example"], |request| match request.target() {
        "/.well-known/matrix/server" => answer("301 Moved", "Location: https://b.example/else\r\n", ""),
        _ => answer("200 OK", "Cache-Control: max-age=3600\r\n", r#"{"m.server":"d.example","x":1}"#),
    })
    .await;
    let names = [("a.example", server.address()), ("b.example", server.address())];
    let (discovery, clock) = discovery(client(&config(&authority), &names));

    let first = find(&discovery, "a.example").await;
    let again = find(&discovery, "a.example").await;

    assert_eq!(first, "d.example");
    assert_eq!((again, server.requests().len()), (first, 2));
    clock.advance(Duration::from_hours(2));
    find(&discovery, "a.example").await;
    assert_eq!(server.requests().len(), 4, "asked again when it had aged");
}

/// Sends on to the next number, for ever.
fn further(target: &str) -> Vec<Step> {
    let number = target.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    answer("302 Found", &format!("Location: /hop/{}\r\n", number + 1), "")
}

#[tokio::test]
async fn without_a_valid_answer_the_name_itself_is_taken() {
    let authority = TestAuthority::default();
    let long = format!(r#"{{"m.server":"d.example","x":"{}"}}"#, "y".repeat(60 << 10));
    let names = ["missing", "html", "absent", "grammar", "long", "loop", "http", "far"];
    let hosts: Vec<String> = names.iter().map(|name| format!("{name}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let server = TestServer::start(&authority, &hosts, move |request| match request.header("host").unwrap() {
        "missing.example" => json("404 Not Found", r#"{"m.server":"d.example"}"#),
        "html.example" => answer("200 OK", "", "<html>"),
        "absent.example" => json("200 OK", "{}"),
        "grammar.example" => json("200 OK", r#"{"m.server":"d.example/x"}"#),
        "long.example" => json("200 OK", &long),
        "http.example" => answer("302 Found", "Location: http://d.example/\r\n", ""),
        "far.example" => further(request.target()),
        _ => answer("302 Found", "Location: /.well-known/matrix/server\r\n", ""),
    })
    .await;
    let lookup: Vec<_> = hosts.iter().map(|host| (*host, server.address())).collect();
    let (discovery, _) = discovery(client(&config(&authority), &lookup));

    for host in hosts.iter().copied().chain(["unknown.example"]) {
        assert_eq!(find(&discovery, host).await, host);
    }
}

#[tokio::test]
async fn failures_are_remembered_and_do_not_displace_a_good_answer() {
    let authority = TestAuthority::default();
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let server = TestServer::start(&authority, &["a.example"], move |_| {
        if is_broken.load(std::sync::atomic::Ordering::SeqCst) {
            json("500 Oops", "{}")
        } else {
            answer("200 OK", "Cache-Control: max-age=600\r\n", r#"{"m.server":"d.example:1"}"#)
        }
    })
    .await;
    let (discovery, clock) = discovery(client(&config(&authority), &[("a.example", server.address())]));
    find(&discovery, "a.example").await;

    broken.store(true, std::sync::atomic::Ordering::SeqCst);
    clock.advance(Duration::from_secs(700));
    let stale = find(&discovery, "a.example").await;
    find(&discovery, "a.example").await;

    assert_eq!(stale, "d.example:1");
    assert_eq!(server.requests().len(), 2, "the failure is remembered for a while");
    clock.advance(Duration::from_hours(2));
    assert_eq!(find(&discovery, "a.example").await, "a.example");
}

#[tokio::test]
async fn certificates_are_checked_and_private_addresses_refused() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example", "127.0.0.1"], |_| json("200 OK", "{}")).await;
    let names = [("a.example", server.address()), ("b.example", server.address())];
    let url = |text: &str| text.parse().unwrap();
    let trusting = client(&config(&authority), &names);

    assert!(trusting.get(url("https://a.example/")).unwrap().send().await.is_ok());
    let by_address = format!("https://127.0.0.1:{}/", server.port());
    assert!(trusting.get(url(&by_address)).unwrap().send().await.is_ok(), "a certificate for the address");
    assert!(trusting.get(url("https://b.example/")).unwrap().send().await.is_err(), "another name");
    assert!(trusting.get(url("http://a.example/")).is_err(), "no TLS");

    let stranger = client(&FederationConfig { ca_file: None, ..config(&authority) }, &names);
    assert!(stranger.get(url("https://a.example/")).unwrap().send().await.is_err(), "an unknown authority");

    let strict = client(&FederationConfig { allow_addresses: Vec::new(), ..config(&authority) }, &names);
    let error = strict.get(url("https://a.example/")).unwrap().send().await.unwrap_err();
    assert!(matches!(error, SendError::Refused(_)), "{error:?}");
    assert!(strict.get(url("https://127.0.0.1/")).is_err());
}

#[tokio::test]
async fn thirty_redirects_are_followed_and_a_circle_is_left_at_once() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example", "b.example"], |request| match request.target() {
        "/hop/30" => json("200 OK", r#"{"m.server":"d.example"}"#),
        _ if request.header("host") == Some("b.example") => {
            answer("302 X", "Location: /.well-known/matrix/server\r\n", "")
        }
        target => further(target),
    })
    .await;
    let names = [("a.example", server.address()), ("b.example", server.address())];
    let (discovery, _) = discovery(client(&config(&authority), &names));

    assert_eq!(find(&discovery, "a.example").await, "d.example");
    assert_eq!(server.requests().len(), 31);
    assert_eq!(find(&discovery, "b.example").await, "b.example");
    assert_eq!(server.requests().len(), 32);
}

#[tokio::test]
async fn instances_share_what_they_were_told() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example", "b.example"], |request| match request.header("host") {
        Some("a.example") => json("200 OK", r#"{"m.server":"d.example","m.media_server":"m.example"}"#),
        _ => json("404 Not Found", "{}"),
    })
    .await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let state: State = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
    let names = [("a.example", server.address()), ("b.example", server.address())];
    let instance = || Discovery::new(client(&config(&authority), &names), clock.clone(), Arc::clone(&state));
    let (one, two) = (instance(), instance());

    for name in ["a.example", "b.example"] {
        assert_eq!(find_for_media(&one, name).await, find_for_media(&two, name).await);
    }

    assert_eq!(find_for_media(&two, "a.example").await, (Some("m.example".to_owned()), "d.example".to_owned()));
    assert_eq!(server.requests().len(), 2, "also that there is no answer is shared");
}

#[tokio::test]
async fn a_media_server_is_for_media_and_left_alone_when_it_fails() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example", "b.example"], |request| match request.header("host") {
        Some("a.example") => {
            json("200 OK", r#"{"m.server":"d.example","com.beeper.msc3859.m.media_server":"m.example"}"#)
        }
        _ => json("200 OK", r#"{"m.media_server":"m.example:1"}"#),
    })
    .await;
    let names = [("a.example", server.address()), ("b.example", server.address())];
    let (discovery, clock) = discovery(client(&config(&authority), &names));
    let found = |media: Option<&str>, usual: &str| (media.map(str::to_owned), usual.to_owned());

    assert_eq!(find_for_media(&discovery, "a.example").await, found(Some("m.example"), "d.example"));
    assert_eq!(find(&discovery, "a.example").await, "d.example");
    assert_eq!(find_for_media(&discovery, "b.example").await, found(Some("m.example:1"), "b.example"));
    assert_eq!(find_for_media(&discovery, "a.example:443").await, found(None, "a.example:443"));

    discovery.shun_media_server(&"a.example".parse().unwrap());
    assert_eq!(find_for_media(&discovery, "a.example").await, found(None, "d.example"));
    clock.advance(Duration::from_hours(1));
    assert_eq!(find_for_media(&discovery, "a.example").await, found(Some("m.example"), "d.example"));
}
