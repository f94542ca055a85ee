//! What is read through an edge: once from the core, then from its disk, and only by those whom
//! the core lets.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use heliograph_tests::{Answer, Client, Edge, Setup, Shape, both_shapes, eventually, jpeg, noise};
use reqwest::Method;

use super::{DOWNLOAD, Network, WORDS, hits};

/// The headers but those that differ by time or by chance.
fn lasting_headers(answer: &Answer) -> BTreeMap<String, String> {
    let pairs = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    pairs
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| {
            let value = value.split_once("boundary=").map_or(value.as_str(), |(before, _)| before).to_owned();
            (name, value)
        })
        .collect()
}

/// Fails unless both say the same.
#[track_caller]
fn assert_same(there: &Answer, here: &Answer, what: &str) {
    assert_eq!(here.status, there.status, "{what}");
    assert_eq!(lasting_headers(here), lasting_headers(there), "{what}");
    let is_random = there.header("content-type").starts_with("multipart/");
    assert!(is_random || here.body == there.body, "{what}: other bytes");
}

both_shapes! {
    async fn a_second_download_reads_nothing_of_the_core(shape: Shape) {
        let Network { relays, edges, core } = Network::start(shape).await;
        let file = noise(3_000_000, 1);
        let id = core.alice().upload_named(file.clone(), "video/mp4", "film%20%C3%A4.mp4").await;
        let there = core.bob().download(&id).await;

        for (edge, relay) in edges.iter().zip(&relays) {
            assert_same(&there, &edge.alice().download(&id).await, "first");
            edge.keeps(1).await;
            relay.take_back();

            assert_same(&there, &edge.bob().download(&id).await, "second");

            assert!(relay.take_back() < WORDS, "the bytes came from the core again");
            assert_eq!(hits(edge).await, 1);
            assert_eq!(edge.count("heliograph_edge_read_bytes_total", "cache").await, 3_000_000);
        }
    }

    async fn what_is_quarantined_or_deleted_ends_at_every_edge_at_once(shape: Shape) {
        let Network { edges, core, relays: _relays } = Network::start(shape).await;
        let picture = jpeg(400, 300);
        let id = core.alice().upload(picture.clone(), "image/jpeg").await;
        let legacy = format!("/_matrix/media/v3/download/{id}");
        for edge in &edges {
            edge.bob().download(&id).await.ok();
            edge.bob().thumbnail(&id, "width=32&height=32&method=crop").await.ok();
            edge.keeps(2).await;
        }
        let refused = async || {
            for edge in &edges {
                edge.stranger().get(&legacy).await.refused(404, "M_NOT_FOUND");
                edge.bob().thumbnail(&id, "width=32&height=32&method=crop").await.refused(404, "M_NOT_FOUND");
                edge.bob().download(&id).await.refused(404, "M_NOT_FOUND");
            }
        };

        // Moderators go through an edge too.
        let quarantine = |word: &str| format!("/_synapse/admin/v1/media/{word}/{id}");
        edges[0].alice().ask(Method::POST, &quarantine("quarantine")).await.ok();
        refused().await;
        edges[1].alice().ask(Method::POST, &quarantine("unquarantine")).await.ok();
        for edge in &edges {
            assert!(edge.bob().download(&id).await.ok() == picture);
            edge.keeps(1).await;
        }
        edges[0].alice().ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{id}")).await.ok();
        refused().await;

        for edge in &edges {
            edge.keeps(0).await;
        }
    }
}

#[tokio::test]
async fn a_copy_is_for_those_whom_the_core_lets() {
    let setup = Setup::new(Shape::One).set("api", "freeze_since", "2020-01-01T00:00:00Z");
    let Network { edges: [edge, _], core, relays: _relays } = Network::before(setup.start().await).await;
    let id = core.alice().upload("hello", "text/plain").await;
    edge.alice().download(&id).await.ok();
    edge.keeps(1).await;

    edge.stranger().download(&id).await.refused(401, "M_MISSING_TOKEN");
    edge.user("nobody").download(&id).await.refused(401, "M_UNKNOWN_TOKEN");
    edge.stranger().get(&format!("/_matrix/media/v3/download/{id}")).await.refused(404, "M_NOT_FOUND");
    let in_query = format!("{DOWNLOAD}/{id}?access_token=bob-token");
    assert_eq!(edge.stranger().get(&in_query).await.ok(), "hello");
    assert_eq!(hits(&edge).await, 1);

    core.homeserver.revoke("bob-token");
    eventually("the token ends", async || (edge.stranger().get(&in_query).await.status == 401).then_some(())).await;
}

#[tokio::test]
async fn parts_are_those_that_the_core_would_send() {
    let Network { relays: [relay, _], edges: [edge, _], core } = Network::start(Shape::One).await;
    let id = core.alice().upload(noise(1_000_000, 2), "video/mp4").await;
    let path = format!("{DOWNLOAD}/{id}");
    let etag = core.alice().get(&path).await.header("etag").to_owned();
    let asked: Vec<Vec<(&str, &str)>> = vec![
        vec![("range", "bytes=500000-500099")],
        vec![("range", "bytes=-7")],
        vec![("range", "bytes=999999-")],
        vec![("range", "bytes=1000000-")],
        vec![("range", "bytes=0-9,20-29")],
        vec![("range", "lines=1-2")],
        vec![("range", "bytes=5-9"), ("if-range", &etag)],
        vec![("range", "bytes=5-9"), ("if-range", "\"other\"")],
        vec![("if-none-match", &etag)],
        vec![("if-none-match", "\"other\"")],
        vec![("if-none-match", "*")],
        vec![("if-none-match", "\"other\", W/\"another\""), ("range", "bytes=0-0")],
        vec![("range", "bytes=0-")],
    ];
    let ask = async |client: Client, method: &Method, headers: &[(&str, &str)]| {
        let request = client.request(method.clone(), &path);
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };

    for is_kept in [false, true] {
        for headers in &asked {
            if !is_kept {
                // What was kept by the question before is to be forgotten.
                edge.damage("body");
            }
            for method in [Method::GET, Method::HEAD] {
                let there = ask(core.bob(), &method, headers).await;
                relay.take_back();
                let here = ask(edge.bob(), &method, headers).await;
                assert_same(&there, &here, &format!("{method} {headers:?}, kept: {is_kept}"));
                let is_from_disk = !headers[0].1.contains(',') || headers.len() > 1;
                assert!(!is_kept || !is_from_disk || relay.take_back() < WORDS, "{headers:?} came from the core");
            }
        }
        edge.alice().get(&path).await.ok();
        edge.keeps(1).await;
    }
}

#[tokio::test]
async fn each_name_is_told_and_the_content_is_there_once() {
    let Network { edges: [edge, _], core, relays: _relays } = Network::start(Shape::One).await;
    let id = core.alice().upload_named(noise(100_000, 3), "text/plain", "own.txt").await;
    let other = core.alice().upload_named(noise(100_000, 3), "application/pdf", "same.pdf").await;

    for path in [
        format!("{DOWNLOAD}/{id}"),
        format!("{DOWNLOAD}/{id}/"),
        format!("{DOWNLOAD}/{id}/other%20name.txt"),
        format!("/_matrix/media/r0/download/{id}/sp%C3%A4t.txt"),
        format!("{DOWNLOAD}/{other}"),
    ] {
        let there = core.bob().get(&path).await;
        for _ in 0..3 {
            assert_same(&there, &edge.bob().get(&path).await, &path);
            edge.keeps(1).await;
        }
        assert!(edge.count("heliograph_edge_read_bytes_total", "cache").await > 0);
    }
    assert!(hits(&edge).await >= 10);
}

#[tokio::test]
async fn thumbnails_are_told_apart_by_what_they_are() {
    let Network { edges: [edge, _], core, relays: _relays } = Network::start(Shape::One).await;
    let id = core.alice().upload(jpeg(800, 600), "image/jpeg").await;
    let queries = ["width=32&height=32&method=crop", "width=96&height=96&method=crop", "width=320&height=240"];

    for query in queries {
        let there = core.bob().thumbnail(&id, query).await;
        assert_same(&there, &edge.bob().thumbnail(&id, query).await, query);
    }
    edge.keeps(queries.len()).await;
    for query in queries {
        let there = core.bob().thumbnail(&id, query).await;
        assert_same(&there, &edge.alice().thumbnail(&id, query).await, query);
        let legacy = format!("/_matrix/media/v3/thumbnail/{id}?{query}");
        assert_same(&core.stranger().get(&legacy).await, &edge.stranger().get(&legacy).await, query);
    }

    assert_eq!(hits(&edge).await, 2 * queries.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_the_same_at_once_all_get_it() {
    let Network { edges, core, relays: _relays } = Network::start(Shape::One).await;
    let file = noise(2_000_000, 5);
    let id = core.alice().upload(file.clone(), "video/mp4").await;

    let clients: Vec<Client> = edges.iter().flat_map(|edge| (0..10).map(|_| edge.bob())).collect();
    let answers = join_all(clients.iter().map(|client| client.download(&id))).await;

    assert!(answers.into_iter().all(|answer| answer.ok() == file));
    for edge in &edges {
        edge.keeps(1).await;
        assert!(edge.bob().download(&id).await.ok() == file);
    }
}

#[tokio::test]
async fn for_a_while_the_core_is_not_asked_again_if_the_operator_wants_so() {
    let core = Setup::new(Shape::One).start().await;
    let edge = Edge::start_with(core.address(), [("fresh_for", "1h".into())]).await;
    let id = core.alice().upload("hello", "text/plain").await;
    edge.alice().download(&id).await.ok();
    edge.keeps(1).await;
    let there = core.alice().download(&id).await;
    assert_same(&there, &edge.alice().download(&id).await, "asked");
    let asked = core.alice().count("heliograph_http_requests_total", "/download/").await;

    assert_same(&there, &edge.alice().download(&id).await, "not asked");

    assert_eq!(core.alice().count("heliograph_http_requests_total", "/download/").await, asked);
    // Others are not believed because of her.
    edge.stranger().download(&id).await.refused(401, "M_MISSING_TOKEN");
    edge.user("nobody").download(&id).await.refused(401, "M_UNKNOWN_TOKEN");
}
