//! Which copies an edge keeps, for how long, and what is no copy.

use heliograph_tests::{Edge, Origin, Server, Setup, Shape, Wire, eventually, noise};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

use super::{DOWNLOAD, Network, WORDS, hits};

#[tokio::test]
async fn copies_outlive_a_restart_and_a_kill_and_damage_is_no_harm() {
    let Network { relays: [relay, _], edges: [mut edge, _], core } = Network::start(Shape::One).await;
    let file = noise(500_000, 4);
    let id = core.alice().upload(file.clone(), "video/mp4").await;
    edge.alice().download(&id).await.ok();
    edge.keeps(1).await;

    edge.process().signal("TERM");
    assert!(edge.process().wait().success());
    edge.launch().await;
    relay.take_back();
    assert!(edge.bob().download(&id).await.ok() == file);
    assert!(relay.take_back() < WORDS);
    edge.kill();
    edge.launch().await;
    assert!(edge.bob().download(&id).await.ok() == file);
    assert_eq!(hits(&edge).await, 1);

    edge.damage("body");
    assert!(edge.bob().download(&id).await.ok() == file);
    edge.keeps(1).await;
    assert_eq!(edge.count("heliograph_edge_not_kept_total", "damaged").await, 1);
}

#[tokio::test]
async fn what_was_not_asked_for_longest_makes_room() {
    let core = Setup::new(Shape::One).start().await;
    let edge = Edge::start_with(core.address(), [("cache_bytes", "250 kB".into())]).await;
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(core.alice().upload(noise(100_000, seed), "video/mp4").await);
    }

    for (nth, id) in ids.iter().enumerate() {
        edge.bob().download(id).await.ok();
        edge.keeps((nth + 1).min(2)).await;
    }
    edge.bob().download(&ids[1]).await.ok();

    assert_eq!(hits(&edge).await, 1);
    assert_eq!(edge.count("heliograph_edge_evicted_total", "").await, 1);
    assert_eq!(edge.count("heliograph_edge_cached_bytes", "").await, 200_000);
    let larger = core.alice().upload(noise(300_000, 9), "video/mp4").await;
    assert_eq!(edge.bob().download_length(&larger).await, 300_000);
    edge.keeps(2).await;
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_a_download_leaves_no_half_copy() {
    let Network { edges: [edge, _], core, relays: _relays } = Network::start(Shape::One).await;
    let id = core.alice().upload(noise(50_000_000, 6), "video/mp4").await;
    let mut wire = Wire::connect(edge.address()).await;
    wire.head(&format!("GET {DOWNLOAD}/{id}"), "bob-token", "").await;
    wire.read_until(|got| got.len() > 100_000).await;
    eventually("the copy is being written", async || (edge.files("unfinished", "") == 1).then_some(())).await;

    drop(wire);

    edge.keeps(0).await;
    assert_eq!(edge.bob().download_length(&id).await, 50_000_000);
    edge.keeps(1).await;
}

#[tokio::test]
async fn media_of_other_servers_are_passed_on_while_they_arrive_and_kept_then() {
    let file = noise(300_000, 7);
    let origin = Origin::start(&file).await;
    let core = Setup::new(Shape::One).trusts(&origin.peer.authority()).start().await;
    let Network { edges: [edge, _], core: _core, relays: _relays } = Network::before(core).await;
    origin.go_on(1);

    assert!(edge.bob().download(&origin.id()).await.ok() == file);
    edge.keeps(0).await;
    assert!(edge.bob().download(&origin.id()).await.ok() == file);
    edge.keeps(1).await;
    assert!(edge.alice().download(&origin.id()).await.ok() == file);

    assert_eq!(hits(&edge).await, 1);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn what_is_not_what_its_tag_says_is_not_kept() {
    let other = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    for (etag, body, kept, refused) in [
        (format!("\"{other}\""), "hello", 0, 1),
        ("\"some tag\"".to_owned(), "hello", 1, 0),
        ("W/\"weak\"".to_owned(), "hello", 0, 0),
        (String::new(), "hello", 0, 0),
        // It says that there is more, and ends.
        ("\"short\"".to_owned(), "hell", 0, 0),
    ] {
        let core = Server::start(move |_, mut stream| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: {etag}\r\nConnection: close\r\n\r\n{body}");
            async move {
                let _ = stream.write_all(head.as_bytes()).await;
            }
        })
        .await;
        let edge = Edge::start(core.address()).await;
        let request = edge.bob().request(Method::GET, &format!("{DOWNLOAD}/media.test/abc"));
        let got = async { request.send().await?.bytes().await }.await;

        assert_eq!(got.is_ok(), body.len() == 5, "{body}");
        if refused > 0 {
            eventually("the copy is refused", async || {
                (edge.count("heliograph_edge_not_kept_total", "digest").await == refused).then_some(())
            })
            .await;
        }
        edge.keeps(kept).await;
    }
}
