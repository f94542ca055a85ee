//! Uploads straight into the bucket (MSC3870).

use std::{future::Future, path::Path, time::Duration};

use heliograph_blobs::testing::S3Server;
use heliograph_tests::{
    Answer, Client, Deployment, PASSWORD, Setup, Shape, both_shapes, eventually, jpeg, noise, python, run,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{browser::browse, network::Network};

const COMPLETE: &str = "/_matrix/media/unstable/com.beeper.msc3870/upload";

fn over(server: &S3Server, shape: Shape) -> Setup {
    with(Setup::new(shape), server).set("uploads", "direct", true)
}

/// The bucket of this server as the store.
fn with(setup: Setup, server: &S3Server) -> Setup {
    // Strings are understood by every setting.
    server.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value))
}

/// An id, and where its content can be put.
async fn create(client: &Client) -> (String, String) {
    let answer = client.try_create().await;
    let body: Value = serde_json::from_slice(&answer.ok()).unwrap();
    let id = body["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    for prefix in ["", "com.beeper.msc3870.", "com.beeper.msc3880."] {
        assert_eq!(body[format!("{prefix}upload_method")], "PUT", "{body}");
        assert_eq!(body[format!("{prefix}upload_url")], body["upload_url"], "{body}");
    }
    (id, body["upload_url"].as_str().unwrap().to_owned())
}

/// What a client does at the URL: it knows nothing of us there, and has no token.
async fn put(url: &str, content: impl Into<reqwest::Body>, content_type: &str) -> StatusCode {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().put(url);
    request.header("content-type", content_type).body(content).send().await.unwrap().status()
}

async fn complete(client: &Client, id: &str) -> Answer {
    client.ask(Method::POST, &format!("{COMPLETE}/{id}/complete")).await
}

both_shapes! {
    async fn what_was_put_into_the_bucket_becomes_the_content_by_every_path(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        for (nth, path) in [
            "/_matrix/media/unstable/com.beeper.msc3870/upload",
            "/_matrix/media/unstable/com.beeper.msc3880/upload",
            "/_matrix/media/v1/upload",
            "/_matrix/media/v3/upload",
        ]
        .into_iter()
        .enumerate()
        {
            let (id, url) = create(&alice).await;
            let content = format!("hello {nth}");
            bob.get(&format!("/_matrix/client/v1/media/download/{id}?timeout_ms=0")).await.refused(504, "M_NOT_YET_UPLOADED");

            assert_eq!(put(&url, content.clone(), "text/plain; charset=utf-8").await, 200);
            let answer = alice.ask(Method::POST, &format!("{path}/{id}/complete?filename=a%20b.txt")).await;

            assert_eq!(answer.json()["content_uri"], format!("mxc://{id}"), "{answer:?}");
            let download = bob.download(&id).await;
            assert_eq!(download.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(download.header("content-disposition"), "inline; filename=\"a b.txt\"");
            assert_eq!(download.ok(), content);
        }
    }

    async fn the_url_changes_nothing_once_the_upload_is_complete(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let (id, url) = create(&alice).await;
        assert_eq!(put(&url, "first", "text/plain").await, 200);
        complete(&alice, &id).await.ok();

        assert_eq!(put(&url, "other", "text/html").await, 200);
        complete(&alice, &id).await.ok();

        let download = bob.download(&id).await;
        assert_eq!(download.header("content-type"), "text/plain");
        assert_eq!(download.ok(), "first");
    }

    async fn everything_that_can_go_wrong_has_its_answer(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).set("uploads", "max_bytes", "1 KiB").start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let (id, url) = create(&alice).await;

        deployment.stranger().ask(Method::POST, &format!("{COMPLETE}/{id}/complete")).await.refused(401, "M_MISSING_TOKEN");
        complete(&bob, &id).await.refused(403, "M_FORBIDDEN");
        complete(&alice, "media.test/unknown").await.refused(404, "M_NOT_FOUND");
        complete(&alice, "elsewhere.test/unknown").await.refused(404, "M_NOT_FOUND");
        complete(&alice, &id).await.refused(400, "M_NOT_YET_UPLOADED");
        assert_eq!(put(&url, noise(1025, 1), "image/png").await, 200);
        complete(&alice, &id).await.refused(413, "M_TOO_LARGE");
        complete(&alice, &id).await.refused(400, "M_NOT_YET_UPLOADED");
        assert_eq!(put(&url.replace("=86400", "=86401"), "x", "text/plain").await, 403, "what is signed cannot be changed");
        assert_eq!(put(&url, noise(1024, 1), "image/png").await, 200);
        complete(&alice, &id).await.ok();
        complete(&bob, &id).await.refused(403, "M_FORBIDDEN");

        // Who ignores the URL uploads as ever.
        let (ordinary, url) = create(&alice).await;
        assert_eq!(put(&url, "not completed", "text/plain").await, 200);
        assert_eq!(alice.put(&ordinary, "ordinary").await.status, 200);
        complete(&alice, &ordinary).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        assert_eq!(bob.download(&ordinary).await.ok(), "ordinary");
        alice.put(&id, "again").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    }

    async fn what_is_never_completed_goes_with_its_id(shape: Shape) {
        let server = S3Server::start().await;
        let deployment =
            over(&server, shape).set("uploads", "unused_lifetime", "3s").set("uploads", "sweep_interval", "1s").start().await;
        let alice = deployment.alice();
        let (id, url) = create(&alice).await;
        assert_eq!(put(&url, "never", "text/plain").await, 200);
        assert!(server.files().iter().any(|file| file.contains("/direct/")));

        eventually("it goes", async || (!server.files().iter().any(|file| file.contains("/direct/"))).then_some(())).await;

        complete(&alice, &id).await.refused(404, "M_NOT_FOUND");
        assert!(!server.files().iter().any(|file| file.contains("/reserved/")));
    }

    async fn what_is_over_the_quota_goes_too(shape: Shape) {
        let server = S3Server::start().await;
        let quota = [("users", "@alice:*".into()), ("max_bytes", "1 KiB".into())];
        let deployment = over(&server, shape).add("quota", quota).start().await;
        let alice = deployment.alice();
        let (id, url) = create(&alice).await;
        assert_eq!(put(&url, noise(2000, 1), "image/png").await, 200);

        complete(&alice, &id).await.refused(403, "M_FORBIDDEN");

        complete(&alice, &id).await.refused(400, "M_NOT_YET_UPLOADED");
        assert!(!server.files().iter().any(|file| file.contains("/blobs/")));
    }

    async fn content_on_the_block_list_neither_comes_in_nor_goes_out(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape)
            .set("uploads", "direct_inspection", "full")
            .start()
            .await;
        // Alice is an administrator of her homeserver.
        let (admin, bob) = (deployment.alice(), deployment.bob());
        let there = bob.upload("unwanted", "text/plain").await;
        let info = admin.get(&format!("/_synapse/admin/v1/media/{there}")).await.json();
        let sha256 = info["media_info"]["sha256"].as_str().or_else(|| info["sha256"].as_str()).unwrap();
        let block = format!("/_heliograph/admin/v1/blocked/{sha256}");

        bob.ask(Method::PUT, &block).await.refused(403, "M_FORBIDDEN");
        admin.ask(Method::PUT, "/_heliograph/admin/v1/blocked/abc").await.refused(400, "M_INVALID_PARAM");
        admin.ask(Method::PUT, &block).await.ok();

        assert_eq!(admin.get(&block).await.json()["blocked_by"], "@alice:media.test");
        bob.download(&there).await.refused(404, "M_NOT_FOUND");
        bob.try_upload("unwanted", "text/plain").await.refused(403, "M_FORBIDDEN");
        let (id, url) = create(&bob).await;
        assert_eq!(put(&url, "unwanted", "text/plain").await, 200);
        complete(&bob, &id).await.refused(403, "M_FORBIDDEN");
        complete(&bob, &id).await.refused(404, "M_NOT_FOUND");
        admin.ask(Method::DELETE, &block).await.ok();
        eventually("it goes out again", async || {
            (bob.download(&there).await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_another_instance_is_woken_by_the_completion() {
    let server = S3Server::start().await;
    let mut deployment = over(&server, Shape::Four).start().await;
    let other = deployment.start_api().await;
    let alice = deployment.alice();
    let (id, url) = create(&alice).await;
    assert_eq!(put(&url, "hello", "text/plain").await, 200);

    let waiting = Client::plain(other, "bob-token");
    let (download, ()) = tokio::join!(waiting.download(&id), async {
        complete(&alice, &id).await.ok();
    });

    assert_eq!(download.ok(), "hello");
}

/// The bucket takes longer to copy than a call to the orchestrator may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_takes_as_long_as_the_bucket_does() {
    let server = S3Server::start().await;
    let deployment = over(&server, Shape::Four).set("cluster", "uploads_timeout", "1s").start().await;
    let alice = deployment.alice();
    let (id, url) = create(&alice).await;
    assert_eq!(put(&url, "hello", "text/plain").await, 200);
    server.slow_copies(Duration::from_secs(3));

    let answers = tokio::join!(complete(&alice, &id), complete(&alice, &id));

    answers.0.ok();
    answers.1.ok();
    assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
}

/// Whatever the size: what passes is a question and an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_asks_the_bucket_as_much_for_a_large_file_as_for_a_small_one() {
    let server = S3Server::start().await;
    let deployment = over(&server, Shape::One).set("storage", "conditional_create", "trust").start().await;
    let alice = deployment.alice();
    let mut counts = Vec::new();
    for size in [9000, 30 << 20] {
        let (id, url) = create(&alice).await;
        assert_eq!(put(&url, noise(size, 1), "video/mp4").await, 200);
        counts.push(counted(&server, async { drop(complete(&alice, &id).await.ok()) }).await.len());
        assert!(deployment.bob().download(&id).await.ok() == noise(size, 1));
    }

    assert_eq!(counts[0], counts[1]);
}

/// What was asked of the bucket until it is left alone.
async fn quiet(server: &S3Server) -> Vec<String> {
    let mut seen = server.take_requests();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let more = server.take_requests();
        if more.is_empty() {
            return seen;
        }
        seen.extend(more);
    }
}

async fn counted(server: &S3Server, work: impl Future<Output = ()>) -> Vec<String> {
    quiet(server).await;
    work.await;
    quiet(server).await
}

/// Where the bucket decides who is first. Elsewhere a lease does, and a look precedes each record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_upload_asks_the_bucket_twice_and_a_cached_download_never() {
    let server = S3Server::start().await;
    let deployment = with(Setup::new(Shape::One), &server).set("storage", "conditional_create", "trust").start().await;
    let (alice, bob) = (deployment.alice(), deployment.bob());
    let mut id = String::new();

    let upload = counted(&server, async { id = alice.upload(noise(100_000, 1), "image/jpeg").await }).await;
    let first = counted(&server, async { drop(bob.download(&id).await.ok()) }).await;
    let again = counted(&server, async { drop(bob.download(&id).await.ok()) }).await;

    let kinds = |requests: &[String]| -> Vec<String> {
        requests.iter().map(|line| line.split('/').take(3).collect::<Vec<_>>().join("/")).collect()
    };
    assert_eq!(kinds(&upload), ["PUT /media/blobs", "PUT /media/records"], "{upload:?}");
    assert_eq!(kinds(&first), ["GET /media/records", "GET /media/blobs"], "{first:?}");
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_built_with_mautrix_puts_its_files_into_the_bucket() {
    let server = S3Server::start().await;
    let network =
        Network::start_with(Shape::One, 0, |setup, _| with(setup, &server).set("uploads", "direct", true)).await;
    network.user(0, "alice").await;
    let picture = network.folder().join("picture.jpg");
    std::fs::write(&picture, jpeg(640, 480)).unwrap();
    let mut client = python(&Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/with_mautrix_direct.py"));
    client
        .env("BASE_URL", format!("https://{}", network.names[0]))
        .env("CA_FILE", network.authority())
        .env("USER_ID", format!("@alice:{}", network.names[0]))
        .env("PASSWORD", PASSWORD)
        .env("PICTURE", &picture);

    server.take_requests();
    run("mautrix", &mut client, network.folder().join("client.log")).await;

    let requests = server.take_requests();
    assert!(requests.iter().any(|line| line.starts_with("PUT /media/direct/")), "{requests:?}");
    assert!(server.files().iter().any(|file| file.contains("/blobs/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_puts_its_files_into_the_bucket() {
    let server = S3Server::start_for_browsers().await;
    let deployment: Deployment = over(&server, Shape::One).start().await;

    browse("direct.js", &deployment, &[("BUCKET_HAS_CORS", "yes")]).await;
}

/// So the test before this one sees that the rules of the bucket matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_rules_of_the_bucket_a_page_cannot() {
    let server = S3Server::start().await;
    let deployment = over(&server, Shape::One).start().await;

    browse("direct.js", &deployment, &[("BUCKET_HAS_CORS", "no")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urls_name_the_address_at_which_others_find_the_bucket() {
    let server = S3Server::start().await;
    let setup = over(&server, Shape::One).set("storage", "public_endpoint", "https://bucket.example:8443");
    let deployment = setup.start().await;

    let (_, url) = create(&deployment.alice()).await;

    assert!(url.starts_with("https://bucket.example:8443/media/direct/media.test/"), "{url}");
}
