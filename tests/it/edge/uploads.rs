//! Uploads through an edge: into the bucket of the region, past the core.

use futures_util::future::join_all;
use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Answer, Deployment, Edge, Relay, Setup, Shape, Wire, both_shapes, eventually, noise};
use reqwest::{Body, Method};
use toml::Value;

use super::{Network, WORDS, hits, over};

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

/// What is in the bucket below `direct/`: put there, and not yet taken over.
fn put_and_left(bucket: &S3Server) -> Vec<String> {
    bucket.files().into_iter().filter(|file| file.contains("/direct/")).collect()
}

fn blobs(bucket: &S3Server) -> usize {
    bucket.files().iter().filter(|file| file.contains("/blobs/")).count()
}

/// Waits until the core has answered so many requests whose path ends so.
async fn await_requests(core: &Deployment, end: &str, count: u64) {
    let route = format!("{end}\"");
    eventually("the core was asked", async || {
        (core.alice().count("heliograph_http_requests_total", &route).await == count).then_some(())
    })
    .await;
}

async fn assert_nothing_is_left(bucket: &S3Server) {
    eventually("nothing is left in the bucket", async || {
        let files = bucket.files();
        let is_left = |file: &String| {
            ["/direct/", "/blobs/", "/records/", ".tmp", "upload_id"].iter().any(|part| file.contains(part))
        };
        (!files.iter().any(is_left)).then_some(())
    })
    .await;
}

both_shapes! {
    async fn what_is_uploaded_through_an_edge_does_not_pass_the_core(shape: Shape) {
        let bucket = S3Server::start().await;
        let Network { relays, edges, core } = Network::over(&bucket, shape).await;
        let file = noise(5_000_000, 1);

        for (edge, relay) in edges.iter().zip(&relays) {
            relay.take_there();
            let id = edge.alice().upload_named(file.clone(), "video/mp4", "film%20a%2Bb+c.mp4").await;

            assert!(relay.take_there() < WORDS, "the bytes went through the core");
            let answer = core.bob().download(&id).await;
            assert_eq!(answer.header("content-type"), "video/mp4");
            assert!(answer.header("content-disposition").contains("film a+b c.mp4"), "{answer:?}");
            assert!(answer.ok() == file);
            assert_eq!(edge.count("heliograph_edge_uploads_total", "bucket").await, 1);
        }
        assert_eq!(put_and_left(&bucket), [""; 0]);
    }

    /// Everything together: the core has a bucket in the region of the edge, and sends those who
    /// download from it to the bucket.
    async fn what_is_uploaded_through_an_edge_lies_in_its_region_and_is_kept_near(shape: Shape) {
        let (usual, region) = (S3Server::start().await, S3Server::start().await);
        let eu = region.settings().into_iter().map(|(key, value)| (key, Value::from(value)));
        let setup = over(&usual, shape).add("store", std::iter::once(("name", "eu".into())).chain(eu));
        let core = setup.set("redirects", "to", "store").start().await;
        let relay = Relay::start(core.address()).await;
        let edge = Edge::start_with(relay.address(), [("store", "eu".into())]).await;
        let file = noise(5_000_000, 1);

        let id = edge.alice().upload(file.clone(), "application/octet-stream").await;
        let created = edge.alice().create().await;
        edge.alice().put(&created, file[..100_000].to_vec()).await.ok();

        assert_eq!((blobs(&usual), blobs(&region)), (0, 2));
        assert_eq!(core.bob().download(&id).await.status, 307, "the core sends its own clients to the bucket");
        eventually("it is kept", async || {
            assert!(edge.bob().download(&id).await.ok() == file);
            (hits(&edge).await > 0).then_some(())
        })
        .await;
        relay.take_back();
        assert!(edge.bob().download(&id).await.ok() == file);
        assert!(relay.take_back() < WORDS, "it was not kept");
        assert_eq!(put_and_left(&region), [""; 0]);
    }

    async fn a_created_id_is_filled_past_the_core(shape: Shape) {
        let bucket = S3Server::start().await;
        let Network { relays: [relay, _other], edges: [edge, other], core } = Network::over(&bucket, shape).await;
        let (file, id) = (noise(3_000_000, 2), other.alice().create().await);
        relay.take_there();

        let answer = edge.alice().put(&id, file.clone()).await;

        assert_eq!(answer.json(), serde_json::json!({}));
        assert!(relay.take_there() < WORDS, "the bytes went through the core");
        assert!(core.bob().download(&id).await.ok() == file);
        for edge in [&edge, &other] {
            edge.alice().put(&id, "again").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
            edge.bob().put(&core.alice().create().await, "not mine").await.refused(403, "M_FORBIDDEN");
            edge.alice().put("media.test/nobody", "x").await.refused(404, "M_NOT_FOUND");
        }
        assert_eq!(put_and_left(&bucket), [""; 0]);
    }

    async fn of_twenty_at_once_over_two_edges_one_fills_the_id(shape: Shape) {
        let bucket = S3Server::start().await;
        let Network { edges, core, relays: _relays } = Network::over(&bucket, shape).await;
        let id = core.alice().create().await;
        let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(100_000, seed)).collect();
        let clients: Vec<_> = (0..20).map(|number| edges[number % 2].alice()).collect();

        let answers = join_all((0..20).map(|number| clients[number].put(&id, files[number].clone()))).await;

        let won: Vec<usize> = (0..20).filter(|number| answers[*number].status == 200).collect();
        let lost = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((won.len(), lost), (1, 19), "{answers:?}");
        assert!(core.bob().download(&id).await.ok() == files[won[0]], "the bytes are not the winner's");
    }

    async fn without_a_length_and_without_a_bucket_uploads_go_through_the_core(shape: Shape) {
        let bucket = S3Server::start().await;
        let Network { edges: [edge, _], core, relays: _relays } = Network::over(&bucket, shape).await;
        let pieces = || Body::wrap_stream(futures_util::stream::iter((0..30).map(|seed| Ok::<_, std::io::Error>(noise(10_000, seed)))));
        let whole: Vec<u8> = (0..30).flat_map(|seed| noise(10_000, seed)).collect();

        let id = edge.alice().upload(pieces(), "video/mp4").await;
        let created = edge.alice().create().await;
        edge.alice().put(&created, pieces()).await.ok();

        assert!(core.bob().download(&id).await.ok() == whole);
        assert!(core.bob().download(&created).await.ok() == whole);
        assert_eq!(edge.count("heliograph_edge_uploads_total", "core").await, 2);

        let core = Setup::new(shape).start().await;
        let edge = Edge::start(core.address()).await;
        let id = edge.alice().upload_named("hello", "text/plain", "a%20b.txt").await;
        let created = edge.alice().create().await;
        edge.alice().put(&created, "there").await.ok();
        let answer = core.bob().download(&id).await;
        assert!(answer.header("content-disposition").contains("a b.txt"), "{answer:?}");
        assert_eq!(answer.ok(), "hello");
        assert_eq!(core.bob().download(&created).await.ok(), "there");
    }
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_sent() {
    let bucket = S3Server::start().await;
    let core = over(&bucket, Shape::One).set("uploads", "max_bytes", "1 MiB").start().await;
    let Network { edges: [edge, _], core: _core, relays: _relays } = Network::before(core).await;

    for headers in ["Content-Length: 1048577\r\n", "Content-Length: 1048577\r\nExpect: 100-continue\r\n"] {
        let mut wire = Wire::connect(edge.address()).await;
        wire.head(UPLOAD, "alice-token", headers).await;
        let (status, body) = wire.answer().await;
        assert_eq!((status, body.contains("M_TOO_LARGE")), (413, true), "{body}");
        let mut wire = Wire::connect(edge.address()).await;
        wire.head(UPLOAD, "nobody-token", headers).await;
        let (status, body) = wire.answer().await;
        assert_eq!((status, body.contains("M_UNKNOWN_TOKEN")), (401, true), "{body}");
    }
    edge.user("guest").try_upload("x", "text/plain").await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    // Whose length is not told, is found out by the core.
    let pieces = (0..30).map(|seed| Ok::<_, std::io::Error>(noise(100_000, seed)));
    let body = Body::wrap_stream(futures_util::stream::iter(pieces));
    edge.alice().try_upload(body, "video/mp4").await.refused(413, "M_TOO_LARGE");
    edge.alice().upload(noise(1 << 20, 1), "video/mp4").await;
    assert_eq!(blobs(&bucket), 1);
}

#[tokio::test]
async fn a_quota_is_kept_to_and_its_refusal_is_that_of_the_core() {
    let bucket = S3Server::start().await;
    let quota = [("max_bytes", Value::from("1000 kB")), ("info_uri", "https://media.test/quota".into())];
    let core = over(&bucket, Shape::One).add("quota", quota).start().await;
    let Network { edges: [edge, _], core: _core, relays: _relays } = Network::before(core).await;
    edge.alice().upload(noise(600_000, 1), "video/mp4").await;

    // More often than a user may have ids that are not filled.
    for _ in 0..25 {
        let answer = edge.alice().try_upload(noise(600_000, 2), "video/mp4").await;
        answer.refused(403, "M_USER_LIMIT_EXCEEDED");
        assert_eq!(answer.json()["info_uri"], "https://media.test/quota");
    }
    let id = edge.alice().create().await;
    edge.alice().put(&id, noise(600_000, 3)).await.refused(403, "M_USER_LIMIT_EXCEEDED");

    edge.alice().put(&id, noise(100_000, 3)).await.ok();
    edge.alice().upload(noise(100_000, 4), "video/mp4").await;
    assert_eq!((blobs(&bucket), put_and_left(&bucket).len()), (3, 0));
}

#[tokio::test]
async fn who_leaves_in_the_middle_leaves_nothing_and_keeps_no_place() {
    let bucket = S3Server::start().await;
    let Network { edges: [edge, _], core, relays: _relays } = Network::over(&bucket, Shape::One).await;

    // More often than a user may have ids that are not filled.
    for _ in 0..25 {
        let mut wire = Wire::connect(edge.address()).await;
        wire.head(UPLOAD, "alice-token", "Content-Length: 4000000\r\n").await;
        wire.send(&noise(1_000_000, 1)).await;
        drop(wire);
        assert_nothing_is_left(&bucket).await;
    }
    let id = core.alice().create().await;
    let mut wire = Wire::connect(edge.address()).await;
    wire.head(&format!("PUT /_matrix/media/v3/upload/{id}"), "alice-token", "Content-Length: 4000000\r\n").await;
    wire.send(&noise(3_000_000, 1)).await;
    await_requests(&core, "/target", 1).await;
    edge.alice().put(&id, "x").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    drop(wire);

    eventually("the id is free again", async || (edge.alice().put(&id, "hello").await.status == 200).then_some(()))
        .await;
    assert_eq!(core.bob().download(&id).await.ok(), "hello");
    edge.alice().upload("there", "text/plain").await;
    assert_eq!((blobs(&bucket), put_and_left(&bucket).len()), (2, 0));
}

#[tokio::test]
async fn an_edge_that_is_killed_in_the_middle_leaves_nothing() {
    let bucket = S3Server::start().await;
    let Network { edges: [mut edge, other], core, relays: _relays } = Network::over(&bucket, Shape::One).await;
    let id = core.alice().create().await;
    let mut wires = Vec::new();
    for line in [UPLOAD.to_owned(), format!("PUT /_matrix/media/v3/upload/{id}")] {
        let mut wire = Wire::connect(edge.address()).await;
        wire.head(&line, "alice-token", "Content-Length: 4000000\r\n").await;
        wire.send(&noise(3_000_000, 1)).await;
        wires.push(wire);
    }
    await_requests(&core, "/create", 2).await;
    await_requests(&core, "/target", 1).await;
    other.alice().put(&id, "x").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");

    edge.kill();

    assert_nothing_is_left(&bucket).await;
    // The claim of the one that is gone ends by itself; the core's own way is open at once.
    core.alice().put(&id, "hello").await.ok();
    assert_eq!(other.bob().download(&id).await.ok(), "hello");
}

#[tokio::test]
async fn a_client_that_uploads_directly_does_so_through_an_edge_too() {
    let bucket = S3Server::start().await;
    let Network { edges: [edge, _], core, relays: _relays } = Network::over(&bucket, Shape::One).await;
    let created = edge.alice().try_create().await.json();
    let id = created["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    let url = created["com.beeper.msc3870.upload_url"].as_str().unwrap();

    let put = reqwest::Client::new().put(url).header("content-type", "image/png").body("not really");
    assert!(Answer::of(put).await.status.is_success());
    let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete?filename=a.png");
    assert_eq!(edge.alice().ask(Method::POST, &complete).await.json()["content_uri"], created["content_uri"]);

    assert_eq!(core.bob().download(id).await.ok(), "not really");
}

#[tokio::test]
async fn the_core_is_told_which_store_is_meant() {
    let bucket = S3Server::start().await;
    let core = over(&bucket, Shape::One).start().await;
    let edge = Edge::start_with(core.address(), [("store", "nowhere".into())]).await;
    let id = core.alice().create().await;

    // There is none of this name: who says so has been told the name.
    edge.alice().try_create().await.refused(400, "M_INVALID_PARAM");
    edge.alice().try_upload("x", "text/plain").await.refused(400, "M_INVALID_PARAM");
    edge.alice().put(&id, "x").await.refused(400, "M_INVALID_PARAM");
    let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
    edge.alice().ask(Method::POST, &complete).await.refused(400, "M_INVALID_PARAM");

    assert_nothing_is_left(&bucket).await;
}

#[tokio::test]
async fn a_core_that_is_gone_after_the_last_byte_is_asked_again() {
    let bucket = S3Server::start().await;
    let core = over(&bucket, Shape::One).start().await;
    let relay = Relay::start(core.address()).await;
    let edge = Edge::start(relay.address()).await;
    let mut wire = Wire::connect(edge.address()).await;
    wire.head(UPLOAD, "alice-token", "Content-Length: 100000\r\n").await;
    wire.send(&noise(99_999, 1)).await;
    await_requests(&core, "/create", 1).await;

    drop(relay);
    wire.send(b"x").await;

    let (status, body) = wire.answer().await;
    assert_eq!((status, body.contains("M_UNKNOWN")), (502, true), "{body}");
    assert_eq!(blobs(&bucket), 0);
}

both_shapes! {
    async fn of_all_who_are_told_where_to_put_content_one_at_a_time_may_complete(shape: Shape) {
        let bucket = S3Server::start().await;
        let core = over(&bucket, shape).start().await;
        let id = core.alice().create().await;
        let target = format!("/_matrix/media/unstable/org.heliograph/upload/{id}/target");
        let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
        let with = |path: &str, claim: &str| format!("{path}?org.heliograph.claim={claim}");

        let told = core.alice().ask(Method::POST, &target).await.json();
        let claim = told["claim"].as_str().unwrap();
        let put = reqwest::Client::new().put(told["upload_url"].as_str().unwrap()).body("hello");
        assert!(Answer::of(put).await.status.is_success());

        core.alice().ask(Method::POST, &target).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        core.alice().ask(Method::POST, &with(&target, claim)).await.ok();
        core.bob().ask(Method::POST, &target).await.refused(403, "M_FORBIDDEN");
        core.bob().ask(Method::POST, &with(&target, claim)).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        for wrong in ["", "1", "x-y"] {
            core.alice().ask(Method::POST, &with(&target, wrong)).await.refused(400, "M_INVALID_PARAM");
            core.alice().ask(Method::POST, &with(&complete, wrong)).await.refused(400, "M_INVALID_PARAM");
        }
        core.alice().ask(Method::POST, &with(&complete, "1-other")).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        core.bob().ask(Method::DELETE, &with(&target, claim)).await.ok();
        core.alice().ask(Method::DELETE, &with(&target, claim)).await.ok();
        core.alice().ask(Method::POST, &with(&complete, claim)).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");

        let told = core.alice().ask(Method::POST, &target).await.json();
        core.alice().ask(Method::POST, &with(&complete, told["claim"].as_str().unwrap())).await.ok();

        assert_eq!(core.bob().download(&id).await.ok(), "hello");
        core.alice().ask(Method::POST, &target).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        core.alice().ask(Method::POST, &target.replace(&id, "media.test/nobody")).await.refused(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn where_nothing_is_put_without_the_core_nobody_is_told_where() {
    let core = Setup::new(Shape::One).start().await;
    let id = core.alice().create().await;
    let target = format!("/_matrix/media/unstable/org.heliograph/upload/{id}/target");

    core.alice().ask(Method::POST, &target).await.refused(404, "M_UNRECOGNIZED");
    core.alice().ask(Method::POST, &target).await.refused(404, "M_UNRECOGNIZED");
}
