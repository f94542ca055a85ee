//! Several stores: the usual one, and one of another region for what is uploaded there.

use std::iter::once;

use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Answer, Client, Setup, Shape, both_shapes, eventually, jpeg, jpeg_size, noise};
use reqwest::{Method, Url, header};
use url::Position;

/// Two buckets of two servers.
struct Regions {
    usual: S3Server,
    eu: S3Server,
}

impl Regions {
    async fn start() -> Self {
        Self { usual: S3Server::start().await, eu: S3Server::start().await }
    }

    fn setup(&self, shape: Shape) -> Setup {
        let usual = self.usual.settings().into_iter();
        let setup = usual.fold(Setup::new(shape), |setup, (key, value)| setup.set("storage", key, value));
        let eu = self.eu.settings().into_iter().map(|(key, value)| (key, value.into()));
        setup.add("store", once(("name", "eu".into())).chain(eu)).set("api", "administrators", "@alice:media.test")
    }
}

/// What is in a bucket below a key.
fn names(server: &S3Server, prefix: &str) -> Vec<String> {
    server.files().into_iter().filter(|file| file.starts_with(&format!("media/{prefix}/"))).collect()
}

fn media_id(id: &str) -> &str {
    id.split_once('/').unwrap().1
}

fn has(names: &[String], id: &str) -> bool {
    names.iter().any(|name| name.ends_with(&format!(".{}", media_id(id))))
}

both_shapes! {
    async fn what_is_uploaded_in_a_region_lies_there_and_nowhere_else(shape: Shape) {
        let regions = Regions::start().await;
        let deployment = regions.setup(shape).set("api", "upload_store", "eu").start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let large = noise(20_000_000, 1);
        let created = alice.create().await;

        let small = alice.upload("hello", "text/plain").await;
        let video = alice.upload(large.clone(), "video/mp4").await;
        let picture = alice.upload(jpeg(400, 300), "image/jpeg").await;
        alice.put(&created, "later").await.ok();

        let ids = [&small, &video, &picture, &created];
        let there = names(&regions.eu, "blobs");
        assert!(there.len() == 4 && ids.iter().all(|id| has(&there, id)), "{there:?}");
        assert_eq!(names(&regions.usual, "blobs"), [""; 0]);
        assert_eq!((names(&regions.usual, "records").len(), names(&regions.eu, "records").len()), (4, 0));
        assert_eq!(bob.download(&small).await.ok(), "hello");
        assert_eq!(bob.download(&created).await.ok(), "later");
        assert!(bob.download(&video).await.ok() == large);
        let request = bob.request(Method::GET, &format!("/_matrix/client/v1/media/download/{video}"));
        let part = Answer::of(request.header(header::RANGE, "bytes=9000000-9000099")).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.body, large[9_000_000..9_000_100]);
        let thumbnail = bob.thumbnail(&picture, "width=96&height=96&method=crop").await;
        assert_eq!(jpeg_size(&thumbnail.ok()), Some((96, 96)));
    }

    async fn what_is_deleted_is_gone_from_its_region(shape: Shape) {
        let regions = Regions::start().await;
        let deployment = regions.setup(shape).set("api", "upload_store", "eu").start().await;
        let alice = deployment.alice();
        let (gone, kept) = (alice.upload("gone", "text/plain").await, alice.upload("kept", "text/plain").await);

        alice.ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{gone}")).await.ok();

        deployment.bob().download(&gone).await.refused(404, "M_NOT_FOUND");
        eventually("its bytes are gone", async || (!has(&names(&regions.eu, "blobs"), &gone)).then_some(())).await;
        assert_eq!(deployment.bob().download(&kept).await.ok(), "kept");
        assert!(has(&names(&regions.eu, "blobs"), &kept));
    }

    async fn what_a_client_puts_into_a_region_itself_stays_there(shape: Shape) {
        let regions = Regions::start().await;
        let deployment = regions.setup(shape).set("uploads", "direct", true).start().await;
        let alice = deployment.alice();
        let query = "org.heliograph.store=eu";
        let created = alice.ask(Method::POST, &format!("/_matrix/media/v1/create?{query}")).await.json();
        let id = created["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap();
        let url: Url = created["com.beeper.msc3870.upload_url"].as_str().unwrap().parse().unwrap();
        let bucket = Client::plain(url.socket_addrs(|| None).unwrap()[0], "").without_token();
        let target = &url[Position::BeforePath..];

        let put = Answer::of(bucket.request(Method::PUT, target).body(noise(300_000, 2))).await;
        let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
        let elsewhere = alice.ask(Method::POST, &complete).await;
        let completed = alice.ask(Method::POST, &format!("{complete}?{query}")).await;

        assert_eq!(put.status, 200);
        assert_eq!(elsewhere.status, 400, "nothing lies in the usual store: {elsewhere:?}");
        completed.ok();
        assert!(deployment.bob().download(id).await.ok() == noise(300_000, 2));
        assert!(has(&names(&regions.eu, "blobs"), id));
        assert_eq!(names(&regions.usual, "blobs"), [""; 0]);
        let unknown = alice.ask(Method::POST, "/_matrix/media/v1/create?org.heliograph.store=us").await;
        unknown.refused(400, "M_INVALID_PARAM");
    }

    /// And takes nothing with it.
    async fn a_region_that_is_out_of_reach_is_told_by_its_name(shape: Shape) {
        let regions = Regions::start().await;
        let nowhere = format!("http://127.0.0.1:{}", heliograph_tests::free_port());
        let us = regions.usual.settings().into_iter().filter(|(key, _)| *key != "endpoint");
        let us = us.map(|(key, value)| (key, value.into()));
        let more = [("name", "us".into()), ("endpoint", nowhere.into()), ("retries", 0.into())];
        let deployment = regions.setup(shape).set("uploads", "direct", true).add("store", us.chain(more)).start().await;
        let alice = deployment.alice();

        let ready = alice.get("/readyz").await;
        let id = alice.upload("hello", "text/plain").await;

        assert_eq!(ready.status, 200);
        assert!(ready.json()["degraded"]["further stores"].as_str().unwrap().contains("in store us"), "{ready:?}");
        assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
        let created = alice.ask(Method::POST, "/_matrix/media/v1/create?org.heliograph.store=us").await.json();
        let there = created["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap();
        let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{there}/complete");
        let answer = alice.ask(Method::POST, &format!("{complete}?org.heliograph.store=us")).await;
        answer.refused(503, "M_UNKNOWN");
    }
}

/// Who promises that what is uploaded there stays there keeps it though it is elsewhere already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_from_two_regions_lies_in_both() {
    let regions = Regions::start().await;
    let mut deployment = regions.setup(Shape::Four).start().await;
    deployment.change("api", "upload_store", "eu");
    let eu = Client::plain(deployment.start_api().await, "alice-token");
    let usual = deployment.alice();

    let here = usual.upload(noise(100_000, 3), "video/mp4").await;
    let there = [eu.upload(noise(100_000, 3), "video/mp4").await, eu.upload(noise(100_000, 3), "video/mp4").await];

    assert!(has(&names(&regions.usual, "blobs"), &here));
    // The second copy goes behind the answer.
    eventually("it lies there once", async || {
        let blobs = names(&regions.eu, "blobs");
        assert!(has(&blobs, &there[0]), "{blobs:?}");
        (blobs.len() == 1).then_some(())
    })
    .await;
    for (reader, id) in [(&eu, &here), (&usual, &there[0]), (&usual, &there[1])] {
        assert!(reader.download(id).await.ok() == noise(100_000, 3));
    }
}
