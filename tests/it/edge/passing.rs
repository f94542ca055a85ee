//! What an edge only passes on, and what it says when the core is gone.

use std::net::SocketAddr;

use bytes::Bytes;
use heliograph_tests::{Answer, Client, Edge, Peer, Setup, Shape, Wire, eventually, free_port, noise};
use reqwest::Method;
use serde_json::json;

use super::Network;

/// MSC3859: a client reads where the media of its server is, and goes there.
#[tokio::test]
async fn clients_find_an_edge_where_the_core_says_that_media_is() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let setup = Setup::new(Shape::One).set_of_homeserver("media_base_url", format!("http://{address}"));
    let core = setup.start().await;
    core.homeserver.publish("/.well-known/matrix/client", 200, "", json!({"m.homeserver": {"base_url": "https://a"}}));
    let edge = Edge::start_at(address, core.address()).await;

    let told = core.stranger().get("/.well-known/matrix/client").await.json();

    for name in ["m.media_server", "com.beeper.msc3859.m.media_server"] {
        let base = told[name]["base_url"].as_str().unwrap().trim_end_matches('/');
        let found = base.strip_prefix("http://").unwrap().parse().unwrap();
        let id = Client::plain(found, "alice-token").upload(name, "text/plain").await;
        assert_eq!(Client::plain(found, "bob-token").download(&id).await.ok(), name);
    }
    assert_eq!(edge.stranger().get("/.well-known/matrix/client").await.json(), told);
    assert_eq!(edge.count("heliograph_edge_reads_total", "miss").await, 2);
}

#[tokio::test]
async fn whatever_the_core_answers_the_edge_answers() {
    let peer = Peer::start().await;
    let core = Setup::new(Shape::One).trusts(&peer.authority()).start().await;
    core.homeserver.publish("/.well-known/matrix/client", 200, "", json!({"m.homeserver": {"base_url": "https://a"}}));
    let Network { edges: [edge, _], core, relays: _relays } = Network::before(core).await;
    let id = core.alice().upload(noise(1000, 1), "text/plain").await;

    for (method, path) in [
        (Method::GET, "/_matrix/client/v1/media/config".to_owned()),
        (Method::GET, "/.well-known/matrix/client".to_owned()),
        (Method::GET, "/_matrix/client/versions".to_owned()),
        (Method::GET, "/_matrix/media/v3/unknown".to_owned()),
        (Method::GET, "/".to_owned()),
        (Method::HEAD, "/_matrix/media/v3/config".to_owned()),
        (Method::DELETE, "/_matrix/media/v3/upload".to_owned()),
        (Method::POST, format!("/_matrix/client/v1/media/download/{id}")),
        (Method::OPTIONS, format!("/_matrix/client/v1/media/download/{id}")),
        (Method::GET, format!("/_synapse/admin/v1/media/{id}")),
        (Method::GET, "/_synapse/admin/v1/users/@alice:media.test/media?limit=1".to_owned()),
        (Method::GET, "/_matrix/client/v1/media/download/media.test/nobody".to_owned()),
        (Method::GET, format!("/_matrix/client/v1/media/thumbnail/{id}?width=x&height=1")),
        (Method::GET, "/_matrix/client/v1/media/download/media.test/nobody?timeout_ms=-1".to_owned()),
    ] {
        let there = core.alice().ask(method.clone(), &path).await;
        let here = edge.alice().ask(method.clone(), &path).await;

        assert_eq!((here.status, &here.body), (there.status, &there.body), "{method} {path}");
        for name in ["content-type", "content-length", "allow", "cache-control", "access-control-allow-origin"] {
            assert_eq!(here.header(name), there.header(name), "{method} {path}: {name}");
        }
    }
}

#[tokio::test]
async fn another_server_is_known_by_its_signature_through_an_edge() {
    let peer = Peer::start().await;
    let core = Setup::new(Shape::One).trusts(&peer.authority()).start().await;
    let edge = Edge::start(core.address()).await;
    let id = core.alice().upload("hello", "text/plain").await;
    let media_id = id.split('/').next_back().unwrap();
    let target = format!("/_matrix/federation/v1/media/download/{media_id}?timeout_ms=2000&odd=a%20b+c'(d)");
    let ask = async |signed: &str| {
        let signature = peer.homeserver.sign("GET", signed, "media.test");
        Answer::of(edge.stranger().request(Method::GET, &target).header("authorization", signature)).await
    };

    // As the client library writes it.
    let sent = target.replace('\'', "%27");
    let answer = ask(&sent).await;

    assert!(answer.header("content-type").starts_with("multipart/mixed"), "{answer:?}");
    assert!(answer.ok().windows(5).any(|part| part == b"hello"));
    ask("/_matrix/federation/v1/media/download/other").await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn without_the_core_nobody_gets_anything() {
    let mut core = Setup::new(Shape::One).start().await;
    let edge = Edge::start(core.address()).await;
    let id = core.alice().upload("hello", "text/plain").await;
    edge.alice().download(&id).await.ok();
    edge.keeps(1).await;

    core.kill();

    for (method, path) in [
        (Method::GET, format!("/_matrix/client/v1/media/download/{id}")),
        (Method::GET, "/_matrix/client/v1/media/config".to_owned()),
        (Method::POST, "/_matrix/media/v3/upload".to_owned()),
    ] {
        let answer = Answer::of(edge.alice().request(method, &path).body("hello")).await;
        answer.refused(502, "M_UNKNOWN");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    eventually("the edge is not ready", async || {
        let ready = edge.stranger().get("/readyz").await;
        (ready.status == 503 && ready.json()["failing"]["core"].is_string()).then_some(())
    })
    .await;
    assert_eq!(edge.stranger().get("/livez").await.status, 200);
    core.start().await;
    assert_eq!(edge.alice().download(&id).await.ok(), "hello");
}

#[tokio::test]
async fn no_path_leads_to_what_the_core_shows_nobody() {
    let Network { edges: [edge, _], core, relays: _relays } = Network::start(Shape::One).await;

    for path in
        ["/_matrix/../metrics", "/_matrix/%2e%2e/metrics", "/x/../readyz", "//metrics", "/metrics/", "\\metrics"]
    {
        let mut wire = Wire::connect(edge.address()).await;
        wire.head(&format!("GET {path}"), "alice-token", "Connection: close\r\n").await;
        let got = String::from_utf8_lossy(&wire.read_until(|_| false).await).into_owned();
        let status = got.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{path}: {got}");
        assert!(!got.contains("heliograph_build_info"), "{path}");
    }
    // Its own are its own.
    let own = edge.stranger().get("/metrics").await.ok();
    assert!(String::from_utf8_lossy(&own).contains("role=\"edge\""));
    drop(core);
}

#[tokio::test]
async fn the_core_is_told_the_address_of_the_client() {
    let limits = Setup::new(Shape::One).set("limits", "address_requests", "2/1h");
    let core = limits.start().await;
    let edge = Edge::start(core.address()).await;
    let id = core.alice().upload("hello", "text/plain").await;
    let path = format!("/_matrix/media/v3/download/{id}");
    let from = async |address: &str| edge.stranger().get_with(&path, [("x-forwarded-for", address)]).await.status;

    // The proxy of the edge is on loopback, and so is believed.
    for address in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        assert_eq!(from(address).await, 200, "{address}");
        assert_eq!(from(&format!("192.0.2.9, {address}")).await, 200, "{address}");
        assert_eq!(from(address).await, 429, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_goes_through_an_edge_in_little_memory() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 1024;
    let core = Setup::new(Shape::One).set("uploads", "max_bytes", "2 GiB").start().await;
    let mut edge = Edge::start(core.address()).await;
    edge.alice().upload("warm", "text/plain").await;
    let idle = edge.process().memory("VmRSS:");

    let id = edge.alice().upload_repeated(Bytes::from(noise(PIECE, 1)), PIECES).await;
    for _ in 0..2 {
        assert_eq!(edge.bob().download_length(&id).await, PIECE * PIECES);
        edge.keeps(1).await;
    }

    assert_eq!(edge.count("heliograph_edge_reads_total", "hit").await, 1);
    let peak = edge.process().memory("VmHWM:");
    assert!(peak - idle <= 64 << 20, "{} MiB more than at rest", (peak - idle) >> 20);
}
