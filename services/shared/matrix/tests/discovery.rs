//! Finding servers over real TLS on loopback.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use heliograph_matrix::{
    Discovery, FederationConfig, GuardedClient,
    testing::{FixedLookup, TestAuthority, TestServer, answer, json},
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
    (Discovery::new(client, clock.clone()), clock)
}

async fn find(discovery: &Discovery, name: &str) -> (String, String) {
    let destination = discovery.find(&name.parse::<ServerName>().unwrap()).await.unwrap();
    (destination.base.to_string(), destination.host_header)
}

fn owned(base: &str, host: &str) -> (String, String) {
    (base.to_owned(), host.to_owned())
}

#[tokio::test]
async fn addresses_and_ports_are_taken_without_asking() {
    let (discovery, _) = discovery(client(&FederationConfig::default(), &[]));

    assert_eq!(find(&discovery, "1.2.3.4").await, owned("https://1.2.3.4:8448/", "1.2.3.4"));
    assert_eq!(find(&discovery, "[2001:db8::1]:99").await, owned("https://[2001:db8::1]:99/", "[2001:db8::1]:99"));
    assert_eq!(find(&discovery, "a.example:443").await, owned("https://a.example/", "a.example:443"));
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

    assert_eq!(first, owned("https://d.example:8448/", "d.example"));
    assert_eq!((again, server.requests().len()), (first, 2));
    clock.advance(Duration::from_hours(2));
    find(&discovery, "a.example").await;
    assert_eq!(server.requests().len(), 4, "asked again when it had aged");
}

#[tokio::test]
async fn without_a_valid_answer_the_name_itself_is_taken() {
    let authority = TestAuthority::default();
    let long = format!(r#"{{"m.server":"d.example","x":"{}"}}"#, "y".repeat(60 << 10));
    let names = ["missing", "html", "absent", "grammar", "long", "loop", "http"];
    let hosts: Vec<String> = names.iter().map(|name| format!("{name}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let server = TestServer::start(&authority, &hosts, move |request| match request.header("host").unwrap() {
        "missing.example" => json("404 Not Found", r#"{"m.server":"d.example"}"#),
        "html.example" => answer("200 OK", "", "<html>"),
        "absent.example" => json("200 OK", "{}"),
        "grammar.example" => json("200 OK", r#"{"m.server":"d.example/x"}"#),
        "long.example" => json("200 OK", &long),
        "http.example" => answer("302 Found", "Location: http://d.example/\r\n", ""),
        _ => answer("302 Found", "Location: /.well-known/matrix/server\r\n", ""),
    })
    .await;
    let lookup: Vec<_> = hosts.iter().map(|host| (*host, server.address())).collect();
    let (discovery, _) = discovery(client(&config(&authority), &lookup));

    for host in hosts.iter().copied().chain(["unknown.example"]) {
        let expected = owned(&format!("https://{host}:8448/"), host);
        assert_eq!(find(&discovery, host).await, expected);
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

    assert_eq!(stale, owned("https://d.example:1/", "d.example:1"));
    assert_eq!(server.requests().len(), 2, "the failure is remembered for a while");
    clock.advance(Duration::from_hours(2));
    assert_eq!(find(&discovery, "a.example").await, owned("https://a.example:8448/", "a.example"));
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
    assert!(heliograph_matrix::Reason(&error).to_string().contains("refused"), "{error:?}");
    assert!(strict.get(url("https://127.0.0.1/")).is_err());
}

#[tokio::test]
async fn the_host_header_is_what_we_say_and_has_no_port() {
    let authority = TestAuthority::default();
    let server = TestServer::start(&authority, &["a.example"], |_| json("200 OK", "{}")).await;
    let client = client(&config(&authority), &[("a.example", server.address())]);
    let url = format!("https://a.example:{}/x?", server.port()).parse().unwrap();

    client.get(url).unwrap().header("host", "a.example").send().await.unwrap();

    let request = &server.requests()[0];
    assert_eq!((request.header("host"), request.target()), (Some("a.example"), "/x?"));
    assert_eq!(request.header("user-agent"), Some(concat!("heliograph/", env!("CARGO_PKG_VERSION"))));
    assert_eq!((request.header("cookie"), request.header("referer")), (None, None));
}
