//! The way out: where it never leads, and what it speaks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::world::{World, config, discovery, server};
use bytes::Bytes;
use heliograph_matrix::{
    Coding, Destination, FederationConfig, GuardedClient, PreviewsConfig, Resolver, SendError, Way,
    testing::{FixedLookup, SeenRequest, Step, TestAuthority, TestDns, TestOrigin, TestServer, answer, own_address},
};
use http::{HeaderName, Response};
use http_body_util::Full;
use tokio::net::TcpListener;

/// How long a test waits for what must not happen.
const A_WHILE: Duration = Duration::from_millis(100);

/// A listener that must not be connected to.
async fn forbidden() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn assert_untouched(listener: &TcpListener) {
    assert!(tokio::time::timeout(A_WHILE, listener.accept()).await.is_err(), "somebody has connected");
}

/// A client that may connect to `allowed` alone.
fn strict(authority: &TestAuthority, dns: &TestDns, allowed: SocketAddr) -> GuardedClient {
    let allow_addresses = vec![allowed.ip().into()];
    let config = FederationConfig { allow_addresses, ..config(authority) };
    GuardedClient::new(&config, Arc::new(Resolver::new(&[dns.address()]))).unwrap()
}

#[tokio::test]
async fn a_name_that_turns_to_a_forbidden_address_is_refused() {
    let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
    let fine = TestOrigin::start(&authority, &["a.example"], (own_address(), 0)).await;
    let (listener, private) = forbidden().await;
    let client = strict(&authority, &dns, fine.address());
    let by_url = |port: u16| client.get(format!("https://a.example:{port}/").parse().unwrap()).unwrap().send();
    let by_name = |port: u16| client.get_from(&server(&format!("a.example:{port}")), "/").unwrap().send();

    dns.set_addresses("a.example", &[fine.address().ip()]);
    by_url(fine.address().port()).await.unwrap();
    by_name(fine.address().port()).await.unwrap();
    dns.set_addresses("a.example", &[private.ip()]);

    for refused in [by_url(private.port()).await, by_name(private.port()).await] {
        assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
    }
    // To both at once it goes to the allowed one, where nobody listens at that port.
    dns.set_addresses("a.example", &[private.ip(), fine.address().ip()]);
    assert!(matches!(by_url(private.port()).await, Err(SendError::Unanswered(_))));
    assert_untouched(&listener).await;
}

#[tokio::test]
async fn nothing_that_strangers_say_leads_to_a_forbidden_address() {
    let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
    let fine = TestOrigin::start(&authority, &["a.example"], (own_address(), 0)).await;
    let (listener, private) = forbidden().await;
    let client = strict(&authority, &dns, fine.address());
    dns.set_addresses("private.example", &[private.ip()]);
    dns.set_services("_matrix-fed._tcp.a.example", &[(0, 0, private.port(), "private.example")], 0);
    dns.set_services("_matrix-fed._tcp.b.example", &[(0, 0, private.port(), &private.ip().to_string())], 0);

    let refused = client.get_from(&server("a.example"), "/").unwrap().send().await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
    assert!(client.get_from(&server("b.example"), "/").unwrap().send().await.is_err());
    assert!(client.get_from(&server(&private.to_string()), "/").is_err());
    assert!(client.get_from(&server(&format!("[::ffff:{}]:{}", private.ip(), private.port())), "/").is_err());
    for url in [format!("https://{private}/"), format!("http://{private}/"), "ftp://a.example/".to_owned()] {
        assert!(client.get(url.parse().unwrap()).is_err(), "{url}");
    }
    assert_untouched(&listener).await;
}

#[tokio::test]
async fn a_well_known_file_leads_to_no_forbidden_address() {
    let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
    let (listener, private) = forbidden().await;
    dns.set_addresses("private.example", &[private.ip()]);
    let by_name = format!("private.example:{}", private.port());
    let site = TestServer::start(&authority, &["a.example", "b.example"], move |request| {
        let target = if request.header("host") == Some("a.example") { private.to_string() } else { by_name.clone() };
        answer("302 Found", &format!("Location: https://{target}/\r\n"), "")
    })
    .await;
    let config = FederationConfig { allow_addresses: vec!["127.0.0.1/32".parse().unwrap()], ..config(&authority) };
    let names = ["a.example", "b.example"].map(|name| (name, site.address()));
    let client = GuardedClient::new(&config, Arc::new(FixedLookup::new(names).or(&dns))).unwrap();
    let discovery = discovery(client);

    for name in ["a.example", "b.example"] {
        assert_eq!(discovery.find(&name.parse().unwrap()).await.unwrap().name().as_str(), name);
    }

    assert_eq!(site.requests().len(), 2);
    assert_untouched(&listener).await;
}

#[tokio::test]
async fn many_requests_share_one_connection_of_http_2() {
    let world = World::start().await;
    let origin = TestOrigin::start(&world.authority, &["a.example"], (own_address(), 0)).await;
    world.dns.set_addresses("a.example", &[origin.address().ip()]);
    let name = format!("a.example:{}", origin.address().port());

    world.ask(&name).await.unwrap();
    let (one, two, three) = tokio::join!(world.ask(&name), world.ask(&name), world.ask(&name));

    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!((origin.seen().len(), origin.connections()), (4, 1));
    assert!(origin.seen().iter().all(|request| request.is_http2 && request.line == "GET /_matrix/x?y"));
}

#[tokio::test]
async fn who_knows_no_http_2_is_asked_over_http_1() {
    let world = World::start().await;
    let server = TestServer::start(&world.authority, &["a.example"], |_| answer("200 OK", "", "fine")).await;
    world.dns.set_addresses("a.example", &[server.address().ip()]);

    let answer = world.ask(&format!("a.example:{}", server.port())).await.unwrap();

    assert_eq!((answer.version(), answer.text().await.unwrap().as_str()), (reqwest::Version::HTTP_11, "fine"));
    let asked = &server.requests()[0];
    assert_eq!(asked.header("host"), Some(format!("a.example:{}", server.port()).as_str()));
    assert_eq!(asked.header("user-agent"), Some(concat!("heliograph/", env!("CARGO_PKG_VERSION"))));
    assert_eq!((asked.header("accept-encoding"), asked.header("cookie")), (Some("identity"), None));
}

/// Answers with what the path is about.
fn answers(request: &SeenRequest) -> Response<Full<Bytes>> {
    let builder = Response::builder();
    let (builder, body) = match request.line.as_str() {
        "GET /large" => (builder, Bytes::from(vec![7; 24 << 20])),
        "GET /gzip" => (builder.header("content-encoding", "gzip"), Bytes::from_static(b"x")),
        "GET /gzip-error" => (builder.status(404).header("content-encoding", "gzip"), Bytes::from_static(b"x")),
        "GET /head" => (builder.header("x-long", "y".repeat(80 << 10)), Bytes::new()),
        _ => (builder, request.body.clone()),
    };
    builder.body(Full::new(body)).unwrap()
}

async fn talkative() -> (World, TestOrigin, Destination) {
    let world = World::start().await;
    let origin = TestOrigin::answering(&world.authority, &["a.example"], (own_address(), 0), answers).await;
    world.dns.set_addresses("a.example", &[origin.address().ip()]);
    let destination = server(&format!("a.example:{}", origin.address().port()));
    (world, origin, destination)
}

#[tokio::test]
async fn a_body_that_nobody_reads_holds_up_no_other() {
    let (world, origin, destination) = talkative().await;
    let get = async |target: &str| world.client.get_from(&destination, target).unwrap().send().await.unwrap();

    let unread = get("/large").await;
    let read = get("/large").await.bytes().await.unwrap();

    assert_eq!((read.len(), unread.content_length()), (24 << 20, Some(24 << 20)));
    assert_eq!(unread.bytes().await.unwrap().len(), 24 << 20);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn what_is_compressed_or_has_too_long_a_head_is_no_answer() {
    let (world, _origin, destination) = talkative().await;
    let get = |target: &str| world.client.get_from(&destination, target).unwrap().send();

    assert_eq!(get("/gzip").await.unwrap_err(), SendError::Encoded);
    let taken = world.client.get_from(&destination, "/gzip").unwrap().take_gzip().send().await.unwrap();
    assert_eq!(Coding::of(taken.headers()), Coding::Gzip, "for those who decode it");
    assert_eq!(get("/gzip-error").await.unwrap().status(), 404, "of an error the status counts");
    assert!(matches!(get("/head").await, Err(SendError::Unanswered(_))));
    assert_eq!(get("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_head_of_too_many_or_too_long_headers_is_no_answer_over_http_1_either() {
    let world = World::start().await;
    let server = TestServer::start(&world.authority, &["a.example"], |request| match request.target() {
        "/many" => answer("200 OK", &"x: y\r\n".repeat(101), ""),
        _ => vec![Step::Send(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(300 << 10)).into_bytes())],
    })
    .await;
    world.dns.set_addresses("a.example", &[server.address().ip()]);
    let destination = self::server(&format!("a.example:{}", server.port()));

    for target in ["/many", "/long"] {
        let answer = world.client.get_from(&destination, target).unwrap().send().await;
        assert!(matches!(answer, Err(SendError::Unanswered(_))), "{target}");
    }
}

#[tokio::test]
async fn json_is_posted_and_what_cannot_be_a_header_is_not_sent() {
    let (world, origin, destination) = talkative().await;
    let json = Bytes::from_static(br#"{"a":1}"#);

    let answer = world.client.post_to(&destination, "/_matrix/key/v2/query", json.clone()).unwrap().send().await;

    assert_eq!(answer.unwrap().bytes().await.unwrap(), json);
    let seen = origin.seen().pop().unwrap();
    assert_eq!(
        (seen.line.as_str(), seen.headers["content-type"].as_bytes()),
        ("POST /_matrix/key/v2/query", &b"application/json"[..])
    );
    let name = HeaderName::from_static("authorization");
    let request = world.client.get_from(&destination, "/").unwrap().header(name.clone(), "a\nb");
    assert_eq!(request.send().await.unwrap_err(), SendError::InvalidHeader(name));
}

#[tokio::test]
async fn credentials_in_a_url_go_nowhere() {
    let (world, origin, _) = talkative().await;
    let url = format!("https://user:password@a.example:{}/x#y", origin.address().port());

    world.client.get(url.parse().unwrap()).unwrap().send().await.unwrap();

    let seen = origin.seen().pop().unwrap();
    assert_eq!((seen.authority, seen.line.as_str()), (format!("a.example:{}", origin.address().port()), "GET /x"));
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn previews_have_addresses_of_their_own_and_need_no_tls() {
    let authority = TestAuthority::default();
    let plain = TcpListener::bind((own_address(), 0)).await.unwrap();
    let address = plain.local_addr().unwrap();
    let previews = PreviewsConfig { allow_addresses: vec![address.ip().into()], ..PreviewsConfig::default() };
    let way = Way::for_previews(&config(&authority), &previews);
    let client = GuardedClient::on(way, Arc::new(FixedLookup::new([("a.example", address)]))).unwrap();
    let url = |text: &str| text.parse().unwrap();

    let asked = client.get(url("http://a.example/page")).unwrap().send();
    let came = tokio::select! {
        came = plain.accept() => came.is_ok(),
        _ = asked => false,
    };

    assert!(came);
    assert!(client.get(url("https://127.0.0.1/")).is_err(), "what federation may is not what previews may");
    assert!(client.get(url("ftp://a.example/")).is_err());
}

#[tokio::test]
async fn the_system_is_asked_if_no_nameserver_is_set() {
    let (authority, origin_address) = (TestAuthority::default(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let origin = TestOrigin::start(&authority, &["localhost"], origin_address).await;
    let client = GuardedClient::new(&config(&authority), Arc::new(Resolver::new(&[]))).unwrap();

    let name = server(&format!("localhost:{}", origin.address().port()));
    client.get_from(&name, "/").unwrap().send().await.unwrap();

    let strict = FederationConfig { allow_addresses: Vec::new(), ..config(&authority) };
    let strict = GuardedClient::new(&strict, Arc::new(Resolver::new(&[]))).unwrap();
    let refused = strict.get_from(&name, "/").unwrap().send().await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
}
