//! How often each caller may ask: nobody disturbs the others, and nobody is disturbed who only
//! does what clients do.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all, stream};
use heliograph_tests::{Answer, Client, Deployment, Origin, Peer, Setup, Shape, both_shapes, jpeg, jpeg_size, noise};
use reqwest::Method;

const THUMBNAIL: &str = "width=96&height=96&method=crop";

/// Refused for a while, and told for how long in both ways.
#[track_caller]
fn assert_limited(answer: &Answer) {
    answer.refused(429, "M_LIMIT_EXCEEDED");
    let millis = answer.json()["retry_after_ms"].as_u64().unwrap();
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(millis <= seconds * 1000 && seconds <= millis / 1000 + 1, "{millis} ms and {seconds} s");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

/// The first so many pass, the next is refused.
async fn assert_limit(allowed: usize, mut ask: impl AsyncFnMut() -> Answer) {
    for nth in 0..allowed {
        let answer = ask().await;
        assert_ne!(answer.status, 429, "{nth} of {allowed}: {answer:?}");
    }
    assert_limited(&ask().await);
}

fn limited(shape: Shape, key: &str, rate: &str) -> Setup {
    Setup::new(shape).set("limits", key, rate)
}

/// A request without a token that comes by a proxy.
async fn by_proxy(deployment: &Deployment, id: &str, forwarded_for: &str) -> Answer {
    let path = format!("/_matrix/media/v3/download/{id}");
    deployment.stranger().get_with(&path, [("x-forwarded-for", forwarded_for)]).await
}

both_shapes! {
    async fn uploads_of_one_user(shape: Shape) {
        let deployment = limited(shape, "user_uploads", "3/1h").start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = bob.create().await;

        assert_limit(3, async || bob.try_upload("hello", "text/plain").await).await;
        // Nothing was wrong with it but the time.
        assert_limited(&bob.put(&id, "hello").await);
        alice.try_upload("hello", "text/plain").await.ok();
    }

    async fn bytes_that_one_user_uploads(shape: Shape) {
        let deployment = limited(shape, "user_upload_bytes", "1 MiB/1h").start().await;
        let bob = deployment.bob();

        assert_limit(2, async || bob.try_upload(noise(400_000, 1), "text/plain").await).await;
        bob.try_upload(noise(100_000, 1), "text/plain").await.ok();
        let pieces = (0..5).map(|seed| Ok::<_, std::io::Error>(noise(500_000, seed)));
        let streamed = reqwest::Body::wrap_stream(stream::iter(pieces));
        assert_limited(&bob.try_upload(streamed, "text/plain").await);
    }

    async fn ids_that_one_user_creates(shape: Shape) {
        let deployment = limited(shape, "user_creates", "4/1h").start().await;
        let bob = deployment.bob();

        assert_limit(4, async || bob.try_create().await).await;
        deployment.alice().create().await;
        let complete = format!("/_matrix/media/v1/upload/{}/complete", deployment.alice().create().await);
        assert_limited(&bob.ask(Method::POST, &complete).await);
    }

    async fn remote_media_that_one_user_asks_for(shape: Shape) {
        let origin = Origin::start(&noise(1000, 1)).await;
        let deployment = limited(shape, "user_fetches", "2/1h").trusts(&origin.peer.authority()).start().await;
        let bob = deployment.bob();
        origin.go_on(100);
        let mut names = ["one", "two", "three"].iter();

        assert_limit(2, async || bob.download(&format!("{}/{}", origin.peer.name(), names.next().unwrap())).await).await;
        // What is here by now costs nothing.
        let copied = async || (deployment.stored("records").len() == 2).then_some(());
        heliograph_tests::eventually("the copies are kept", copied).await;
        for _ in 0..5 {
            bob.download(&format!("{}/one", origin.peer.name())).await.ok();
        }
        deployment.alice().download(&format!("{}/three", origin.peer.name())).await.ok();
    }

    async fn bytes_of_remote_media(shape: Shape) {
        let origin = Origin::legacy(&noise(600_000, 1)).await;
        let deployment = limited(shape, "user_fetch_bytes", "1 MiB/1h").trusts(&origin.peer.authority()).start().await;
        let bob = deployment.bob();
        origin.go_on(100);

        let mut names = ["one", "two"].iter();
        assert_limit(1, async || bob.download(&format!("{}/{}", origin.peer.name(), names.next().unwrap())).await).await;
    }

    /// Servers of today do not say how long their files are: what has arrived counts.
    async fn bytes_of_remote_media_whose_length_nobody_tells(shape: Shape) {
        let origin = Origin::start(&noise(600_000, 1)).await;
        let deployment = limited(shape, "user_fetch_bytes", "1 MiB/1h").trusts(&origin.peer.authority()).start().await;
        let bob = deployment.bob();
        origin.go_on(100);

        let mut statuses = Vec::new();
        for media_id in ["one", "two", "three", "four", "five"] {
            let path = format!("/_matrix/client/v1/media/download/{}/{media_id}", origin.peer.name());
            let answer = bob.request(Method::GET, &path).send().await.unwrap();
            statuses.push(answer.status().as_u16());
            // One that goes over the limit on its way may be cut off.
            let _ = answer.bytes().await;
        }

        assert_eq!((statuses[0], statuses[4]), (200, 429), "{statuses:?}");
    }

    async fn thumbnails_that_are_not_made_yet(shape: Shape) {
        let deployment = limited(shape, "user_renders", "3/1h").start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(alice.upload(jpeg(400, 300), "image/jpeg").await);
        }
        let mut next = ids.iter();

        assert_limit(3, async || bob.thumbnail(next.next().unwrap(), THUMBNAIL).await).await;
        // Those that were made cost nothing.
        for _ in 0..5 {
            bob.thumbnail(&ids[0], THUMBNAIL).await.ok();
        }
        alice.thumbnail(&ids[3], THUMBNAIL).await.ok();
        bob.thumbnail(&ids[3], THUMBNAIL).await.ok();
    }

    async fn strangers_from_one_address(shape: Shape) {
        let deployment = limited(shape, "address_requests", "3/1h").start().await;
        let id = deployment.alice().upload(jpeg(400, 300), "image/jpeg").await;
        let ask = async |address: &str| by_proxy(&deployment, &id, address).await;

        assert_limit(3, async || ask("198.51.100.7").await).await;
        // The client writes the beginning of the header, our proxy the end.
        assert_limited(&ask("203.0.113.1, 198.51.100.7").await);
        // Proxies behind proxies.
        assert_limited(&ask("198.51.100.7, 10.0.0.3, 127.0.0.1").await);
        ask("198.51.100.7, 198.51.100.8").await.ok();
        // A network of IPv6 is one address.
        assert_limit(3, async || ask("2001:db8:1:2:3:4:5:6").await).await;
        assert_limited(&ask("2001:db8:1:2::1").await);
        ask("2001:db8:1:3::1").await.ok();
        // Whoever has a token is not counted by address.
        for _ in 0..5 {
            deployment.alice().download(&id).await.ok();
        }
    }

    async fn what_strangers_have_made_and_fetched(shape: Shape) {
        let origin = Origin::start(&noise(1000, 1)).await;
        let deployment = limited(shape, "address_renders", "1/1h")
            .set("limits", "address_fetches", "1/1h")
            .trusts(&origin.peer.authority())
            .start()
            .await;
        origin.go_on(100);
        let ids = [deployment.alice().upload(jpeg(40, 30), "image/jpeg").await, deployment.alice().upload(jpeg(40, 31), "image/jpeg").await];
        let stranger = deployment.stranger();

        let mut next = ids.iter();
        assert_limit(1, async || stranger.get(&format!("/_matrix/media/v3/thumbnail/{}?{THUMBNAIL}", next.next().unwrap())).await).await;
        let mut next = ["one", "two"].iter();
        let name = origin.peer.name();
        assert_limit(1, async || stranger.get(&format!("/_matrix/media/v3/download/{name}/{}", next.next().unwrap())).await).await;
    }

    async fn nobody_is_believed_who_is_no_proxy(shape: Shape) {
        let nobody = toml::Value::Array(Vec::new());
        let deployment = limited(shape, "address_requests", "3/1h").set("api", "proxies", nobody).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let mut addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"].iter();

        assert_limit(3, async || by_proxy(&deployment, &id, addresses.next().unwrap()).await).await;
    }

    async fn other_servers(shape: Shape) {
        let (one, other) = (Peer::start().await, Peer::start().await);
        // Both authorities are trusted.
        let both = tempfile::NamedTempFile::new().unwrap();
        let files = [one.authority(), other.authority()].map(|file| std::fs::read(file).unwrap());
        std::fs::write(both.path(), files.concat()).unwrap();
        let deployment = limited(shape, "origin_requests", "3/1h").trusts(both.path()).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let path = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);

        assert_limit(3, async || one.get(&deployment, &path).await).await;
        other.get(&deployment, &path).await.ok();
    }

    async fn bytes_and_thumbnails_for_other_servers(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = limited(shape, "origin_bytes", "1 MiB/1h")
            .set("limits", "origin_renders", "1/1h")
            .trusts(&peer.authority())
            .start()
            .await;
        let alice = deployment.alice();
        let large = alice.upload(noise(600_000, 1), "text/plain").await;
        let pictures = [alice.upload(jpeg(40, 30), "image/jpeg").await, alice.upload(jpeg(40, 31), "image/jpeg").await];
        let path = |kind: &str, id: &str| format!("/_matrix/federation/v1/media/{kind}/{}", id.split_once('/').unwrap().1);

        assert_limit(1, async || peer.get(&deployment, &path("download", &large)).await).await;
        let mut next = pictures.iter();
        assert_limit(1, async || peer.get(&deployment, &format!("{}?{THUMBNAIL}", path("thumbnail", next.next().unwrap()))).await).await;
    }

    async fn a_bridge_has_limits_of_its_own(shape: Shape) {
        let deployment = limited(shape, "user_uploads", "1/1h").set("limits", "service_uploads", "3/1h").start().await;
        let bridge = deployment.user("bridge");
        let mut users = ["bridge_a", "bridge_b", "bridge_a", "bridge_c"].iter();

        assert_limit(3, async || {
            let path = format!("/_matrix/media/v3/upload?user_id=%40{}%3Amedia.test", users.next().unwrap());
            Answer::of(bridge.request(Method::POST, &path).body("hello")).await
        })
        .await;
        assert_limit(1, async || deployment.bob().try_upload("hello", "text/plain").await).await;
    }

    async fn it_is_over_when_it_was_said_to_be_over(shape: Shape) {
        let deployment = limited(shape, "user_uploads", "2/2s").start().await;
        let bob = deployment.bob();
        let began = Instant::now();
        let refused = loop {
            let answer = bob.try_upload("hello", "text/plain").await;
            if answer.status == 429 {
                break answer;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nothing is ever refused");
        };
        let wait = refused.json()["retry_after_ms"].as_u64().unwrap();

        assert!(wait <= 2000, "{wait}");
        tokio::time::sleep(Duration::from_millis(wait + 50)).await;
        bob.try_upload("hello", "text/plain").await.ok();
    }

    /// With the limits that everybody has who sets none.
    async fn a_room_with_five_hundred_new_faces_opens_at_once(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let users: Vec<Client> = (0..5).map(|nth| {
            deployment.homeserver.register(&format!("member{nth}"));
            deployment.user(&format!("member{nth}"))
        }).collect();
        let face = |nth: usize| {
            let mut file = jpeg(160, 120);
            // Each face is another.
            file.extend(nth.to_be_bytes());
            file
        };
        let uploads = (0..500).map(|nth| {
            let client = users[nth % users.len()].clone();
            async move { client.upload(face(nth), "image/jpeg").await }
        });
        let ids: Vec<String> = stream::iter(uploads).buffer_unordered(50).collect().await;

        let bob = deployment.bob();
        let asked = ids.iter().flat_map(|id| {
            let (thumbnail, download) = (bob.clone(), bob.clone());
            let thumbnail = async move {
                let answer = thumbnail.thumbnail(id, THUMBNAIL).await;
                assert_eq!(jpeg_size(&answer.ok()), Some((96, 96)));
            };
            let download = async move {
                assert_eq!(download.download(id).await.ok().len(), face(0).len());
            };
            [futures_util::future::Either::Left(thumbnail), futures_util::future::Either::Right(download)]
        });
        let opened = stream::iter(asked).buffer_unordered(50).count().await;

        assert_eq!(opened, 1000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_count_together() {
    let mut deployment = limited(Shape::Four, "user_uploads", "6/1h").start().await;
    let there = Client::plain(deployment.start_api().await, "bob-token");
    let here = deployment.bob();

    let clients = (0..30).map(|nth| if nth % 2 == 0 { &here } else { &there });
    let answers = join_all(clients.map(|client| client.try_upload("hello", "text/plain"))).await;

    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(passed.len(), 6);
    refused.into_iter().for_each(assert_limited);
}
