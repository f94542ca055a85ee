//! How much users may store: refused early, exactly, everywhere, and forgotten by nobody.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use heliograph_tests::{Answer, Client, Deployment, Origin, Setup, Shape, Wire, both_shapes, eventually, noise};
use reqwest::Method;
use serde_json::{Value, json};

const PAGE: &str = "https://media.test/quota";

async fn usage(client: &Client) -> (u64, u64) {
    let usage = client.get("/_matrix/media/unstable/org.matrix.msc4034/usage").await.json();
    let number = |name: &str| usage[format!("org.matrix.msc4034.storage.{name}")].as_u64().unwrap();
    (number("used"), number("files"))
}

/// Uploads a file that nobody else has.
async fn upload(client: &Client, length: usize) -> Answer {
    static FILES: AtomicU64 = AtomicU64::new(1);
    client.try_upload(noise(length, FILES.fetch_add(1, Ordering::Relaxed)), "text/plain").await
}

async fn delete(deployment: &Deployment, id: &str) {
    deployment.alice().ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{id}")).await.ok();
}

/// Records and blobs, and nothing that was begun.
async fn assert_stored(deployment: &Deployment, files: usize) {
    eventually("the store has what is counted and nothing else", async || {
        let found = ["records", "blobs"].map(|prefix| deployment.stored(prefix).len());
        (found == [files; 2] && deployment.uploads_in_progress().await == 0).then_some(())
    })
    .await;
}

/// An upload of which only the head is ever sent.
async fn announce(deployment: &Deployment, line: &str, length: usize) -> (u16, Value) {
    let mut wire = Wire::connect(deployment.address()).await;
    wire.head(line, "bob-token", &format!("Content-Length: {length}\r\n")).await;
    let (status, body) = wire.answer().await;
    (status, serde_json::from_str(&body).unwrap())
}

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

both_shapes! {
    async fn bytes_over_the_quota_are_refused_before_they_are_sent(shape: Shape) {
        let deployment = Setup::new(shape).add("quota", [("max_bytes", "1000 B".into())]).start().await;
        let bob = deployment.bob();

        let (status, body) = announce(&deployment, UPLOAD, 1001).await;
        assert_eq!((status, &body["errcode"]), (403, &json!("M_FORBIDDEN")));
        upload(&bob, 600).await.ok();
        let (status, body) = announce(&deployment, UPLOAD, 401).await;
        assert_eq!((status, &body["errcode"]), (403, &json!("M_FORBIDDEN")));
        upload(&bob, 400).await.ok();
        let (status, _) = announce(&deployment, UPLOAD, 1).await;
        assert_eq!(status, 403);

        assert_eq!(usage(&bob).await, (1000, 2));
        // Everybody has a quota of their own.
        upload(&deployment.alice(), 1000).await.ok();
        assert_stored(&deployment, 3).await;
    }

    async fn a_body_of_unknown_length_is_counted_when_it_is_there(shape: Shape) {
        let deployment = Setup::new(shape).add("quota", [("max_bytes", "100 kB".into())]).start().await;
        let bob = deployment.bob();
        let streamed = async |pieces: usize| {
            let pieces = (0..pieces).map(|nth| Ok::<_, std::io::Error>(noise(10_000, nth as u64)));
            bob.try_upload(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)), "text/plain").await
        };

        streamed(11).await.refused(403, "M_FORBIDDEN");
        assert_stored(&deployment, 0).await;
        streamed(10).await.ok();
        streamed(1).await.refused(403, "M_FORBIDDEN");

        assert_eq!(usage(&bob).await, (100_000, 1));
        assert_stored(&deployment, 1).await;
    }

    async fn a_quota_with_a_page_tells_clients_of_it(shape: Shape) {
        let quotas = |setup: Setup| {
            setup
                .add("quota", [("users", toml::Value::Array(vec!["@bob:*".into()])), ("max_files", 1.into()),
                    ("info_uri", PAGE.into()), ("can_upgrade", true.into())])
                .add("quota", [("max_files", 2.into()), ("info_uri", PAGE.into())])
        };
        let deployment = quotas(Setup::new(shape)).start().await;

        for (client, most, can_upgrade) in [(deployment.bob(), 1, true), (deployment.alice(), 2, false)] {
            for _ in 0..most {
                upload(&client, 10).await.ok();
            }
            let refused = upload(&client, 10).await;
            refused.refused(403, "M_USER_LIMIT_EXCEEDED");
            assert_eq!((&refused.json()["info_uri"], &refused.json()["can_upgrade"]), (&json!(PAGE), &json!(can_upgrade)));
            let id = client.create().await;
            let refused = client.put(&id, "hello").await;
            refused.refused(403, "M_USER_LIMIT_EXCEEDED");
            assert_eq!(refused.json()["info_uri"], PAGE);
        }
    }

    async fn of_twenty_uploads_for_three_places_exactly_three_are_stored(shape: Shape) {
        let deployment = Setup::new(shape).add("quota", [("max_files", 3.into())]).start().await;
        let bob = deployment.bob();

        let answers = join_all((0..20).map(|nth| upload(&bob, 100_000 + nth))).await;

        let (stored, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(stored.len(), 3);
        for answer in refused {
            answer.refused(403, "M_FORBIDDEN");
        }
        assert_eq!(usage(&bob).await.1, 3);
        assert_stored(&deployment, 3).await;
    }

    async fn what_is_refused_leaves_its_id_and_its_room_free(shape: Shape) {
        let deployment = Setup::new(shape).add("quota", [("max_bytes", "1000 B".into())]).start().await;
        let bob = deployment.bob();
        let id = bob.create().await;

        bob.put(&id, noise(1001, 1)).await.refused(403, "M_FORBIDDEN");
        // Broken off: its claim must not last.
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(&format!("PUT /_matrix/media/v3/upload/{id}"), "bob-token", "Content-Length: 1000\r\n").await;
        wire.send(b"half of it").await;
        drop(wire);

        eventually("there is room again", async || (bob.put(&id, noise(1000, 1)).await.status == 200).then_some(())).await;
        assert_eq!(usage(&bob).await, (1000, 1));
        assert_stored(&deployment, 1).await;
    }

    async fn deletion_gives_room_back(shape: Shape) {
        let quota = [("max_files", 2.into()), ("max_bytes", "1000 B".into())];
        let deployment = Setup::new(shape).add("quota", quota).start().await;
        let bob = deployment.bob();
        let ids = [bob.upload(noise(500, 1), "text/plain").await, bob.upload(noise(500, 2), "text/plain").await];
        upload(&bob, 10).await.refused(403, "M_FORBIDDEN");

        delete(&deployment, &ids[0]).await;

        assert_eq!(usage(&bob).await, (500, 1));
        upload(&bob, 501).await.refused(403, "M_FORBIDDEN");
        upload(&bob, 500).await.ok();
        assert_eq!(usage(&bob).await, (1000, 2));
    }

    async fn what_was_uploaded_within_a_period_counts_although_it_is_deleted(shape: Shape) {
        let quota = [("max_bytes_per_period", "1000 B".into()), ("period", "6s".into())];
        let deployment = Setup::new(shape).add("quota", quota).start().await;
        let bob = deployment.bob();
        let id = bob.upload(noise(1000, 1), "text/plain").await;
        delete(&deployment, &id).await;

        let (status, body) = announce(&deployment, UPLOAD, 500).await;
        assert_eq!((status, &body["errcode"]), (403, &json!("M_FORBIDDEN")));
        assert_eq!(usage(&bob).await, (0, 0));

        tokio::time::sleep(Duration::from_secs(6)).await;
        upload(&bob, 500).await.ok();
    }

    async fn clients_learn_their_quota_and_how_much_of_it_is_used(shape: Shape) {
        let quota = [("max_files", 7.into()), ("max_bytes", "3 MiB".into())];
        let deployment = Setup::new(shape).set("uploads", "max_bytes", "5 MiB").add("quota", quota).start().await;
        let bob = deployment.bob();
        upload(&bob, 1000).await.ok();

        let config = bob.get("/_matrix/client/v1/media/config").await;
        let stable = bob.get("/_matrix/media/v3/usage").await;

        let expected = json!({
            "m.upload.size": 3 << 20,
            "org.matrix.msc4034.storage.size": 3 << 20,
            "org.matrix.msc4034.storage.max_files": 7,
        });
        assert_eq!(config.json(), expected);
        assert_eq!(stable.json(), json!({"m.storage.used": 1000, "m.storage.files": 1}));
        assert_eq!(usage(&bob).await, (1000, 1));
        assert_eq!(stable.header("cache-control"), "private, no-store");
    }

    async fn what_is_stored_is_counted_after_a_restart(shape: Shape) {
        let mut deployment = Setup::new(shape).add("quota", [("max_files", 2.into())]).start().await;
        upload(&deployment.bob(), 1000).await.ok();

        deployment.kill();
        deployment.start().await;

        let bob = deployment.bob();
        assert_eq!(usage(&bob).await, (1000, 1));
        upload(&bob, 1000).await.ok();
        upload(&bob, 1000).await.refused(403, "M_FORBIDDEN");
    }

    async fn copies_of_remote_media_are_on_nobodys_account(shape: Shape) {
        let origin = Origin::start(b"hello").await;
        origin.go_on(1);
        let deployment = Setup::new(shape)
            .trusts(&origin.peer.authority())
            .add("quota", [("max_bytes", "1 B".into())])
            .start()
            .await;

        assert_eq!(deployment.bob().download(&origin.id()).await.ok(), "hello");
        assert_eq!(usage(&deployment.bob()).await, (0, 0));
    }

    async fn a_bridge_uploads_on_the_account_of_whom_it_acts_for(shape: Shape) {
        let deployment = Setup::new(shape).add("quota", [("max_files", 1.into())]).start().await;
        let bridge = deployment.user("bridge");
        let upload_as = async |user: &str| {
            let path = format!("/_matrix/media/v3/upload?user_id=%40{user}%3Amedia.test");
            Answer::of(bridge.request(Method::POST, &path).body("hello")).await
        };

        upload_as("bridge_one").await.ok();
        upload_as("bridge_one").await.refused(403, "M_FORBIDDEN");
        upload_as("bridge_two").await.ok();
        upload_as("bob").await.refused(403, "M_FORBIDDEN");
        assert_eq!(usage(&deployment.bob()).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_the_last_places() {
    let mut deployment = Setup::new(Shape::Four).add("quota", [("max_files", 3.into())]).start().await;
    let there = Client::plain(deployment.start_api().await, "bob-token");
    let here = deployment.bob();

    let clients = (0..20).map(|nth| if nth % 2 == 0 { &here } else { &there });
    let answers = join_all(clients.map(|client| upload(client, 50_000))).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    assert_eq!((usage(&here).await.1, usage(&there).await.1), (3, 3));
    assert_stored(&deployment, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgot_everything_is_told_again() {
    let deployment = Setup::new(Shape::Four).add("quota", [("max_files", 2.into())]).start().await;
    let bob = deployment.bob();
    upload(&bob, 1000).await.ok();
    let gone = bob.upload(noise(7, 7), "text/plain").await;
    delete(&deployment, &gone).await;

    deployment.redis.as_ref().unwrap().flush().await;

    // Until it has been counted anew, nobody is told a number that is wrong.
    eventually("usage is known again", async || {
        let answer = bob.get("/_matrix/media/v3/usage").await;
        match answer.status.as_u16() {
            200 => {
                assert_eq!(answer.json(), json!({"m.storage.used": 1000, "m.storage.files": 1}));
                Some(())
            }
            status => {
                assert_eq!(status, 503, "{answer:?}");
                None
            }
        }
    })
    .await;
    upload(&bob, 1000).await.ok();
    upload(&bob, 1000).await.refused(403, "M_FORBIDDEN");
}
