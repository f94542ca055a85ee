//! Created ids: what is checked in which order, and who wins.

use std::time::Duration;

use futures_util::future::join_all;
use heliograph_tests::{Answer, Client, Deployment, Setup, Shape, Wire, both_shapes, eventually, noise};
use reqwest::Method;
use serde_json::{Value, json};

const TOO_LARGE: &str = "Content-Length: 2000000\r\n";

/// A PUT of which only the head is ever sent.
async fn announce(deployment: &Deployment, id: &str, token: &str, headers: &str) -> (u16, Value) {
    let mut wire = Wire::connect(deployment.address()).await;
    wire.head(&format!("PUT /_matrix/media/v3/upload/{id}"), token, headers).await;
    let (status, body) = wire.answer().await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (status, body["errcode"].clone())
}

/// A PUT that has begun and does not go on.
async fn begin(deployment: &Deployment, id: &str) -> Wire {
    let mut wire = Wire::connect(deployment.address()).await;
    wire.head(&format!("PUT /_matrix/media/v3/upload/{id}"), "alice-token", "Content-Length: 10\r\n").await;
    wire.send(b"hello").await;
    eventually("the upload has begun", async || (deployment.uploads_in_progress().await > 0).then_some(())).await;
    wire
}

both_shapes! {
    /// The table in order: each row is told although all rows below it hold as well.
    async fn what_is_wrong_is_told_in_order_and_before_the_body(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "max_bytes", "1 MiB").start().await;
        let alice = deployment.alice();
        let (finished, pending) = (alice.create().await, alice.create().await);
        alice.put(&finished, "hello").await.ok();
        let uploaded = alice.upload("hello", "text/plain").await;

        let said = async |id: &str, token: &str| announce(&deployment, id, token, TOO_LARGE).await;
        assert_eq!(said("other.test/abc", "alice-token").await, (404, json!("M_NOT_FOUND")));
        assert_eq!(said("media.test/a.b", "alice-token").await, (404, json!("M_NOT_FOUND")));
        assert_eq!(said("media.test/nobodyCreatedThis", "alice-token").await, (404, json!("M_NOT_FOUND")));
        assert_eq!(said(&finished, "bob-token").await, (403, json!("M_FORBIDDEN")));
        assert_eq!(said(&pending, "bob-token").await, (403, json!("M_FORBIDDEN")));
        assert_eq!(said(&finished, "alice-token").await, (409, json!("M_CANNOT_OVERWRITE_MEDIA")));
        assert_eq!(said(&uploaded, "alice-token").await, (409, json!("M_CANNOT_OVERWRITE_MEDIA")));
        assert_eq!(said(&pending, "alice-token").await, (413, json!("M_TOO_LARGE")));
        let running = begin(&deployment, &pending).await;
        assert_eq!(said(&pending, "alice-token").await, (409, json!("M_CANNOT_OVERWRITE_MEDIA")));
        drop(running);
        eventually("the id is free", async || (alice.put(&pending, "hello").await.status == 200).then_some(())).await;
    }

    /// An id that was never filled expires, for its creator too, and gives its place back.
    async fn an_id_expires(shape: Shape) {
        let deployment = Setup::new(shape)
            .set("uploads", "unused_lifetime", "1s")
            .set("uploads", "max_pending_per_user", 1)
            .start()
            .await;
        let alice = deployment.alice();
        let id = alice.create().await;
        alice.try_create().await.refused(429, "M_LIMIT_EXCEEDED");
        tokio::time::sleep(Duration::from_millis(1100)).await;

        alice.put(&id, "late").await.refused(404, "M_NOT_FOUND");
        deployment.bob().download(&id).await.refused(404, "M_NOT_FOUND");
        deployment.bob().get(&format!("/_matrix/media/v3/download/{id}")).await.refused(404, "M_NOT_FOUND");
        let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
        alice.ask(Method::POST, &complete).await.refused(404, "M_NOT_FOUND");
        alice.create().await;
    }

    /// What began in time may end late.
    async fn an_upload_that_began_before_the_end_may_finish_after_it(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "unused_lifetime", "2s").start().await;
        let id = deployment.alice().create().await;
        let mut wire = begin(&deployment, &id).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;

        wire.send(b"world").await;

        let (status, body) = wire.answer().await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(deployment.bob().download(&id).await.ok(), "helloworld");
    }

    /// Bodies of create: nothing, any object, and nothing else.
    async fn an_id_is_created_with_no_body_or_any_object(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let create = async |body: &'static str| {
            let request = deployment.alice().request(Method::POST, "/_matrix/media/v1/create?com.beeper.unique_id=x");
            Answer::of(request.header("content-type", "application/json").body(body)).await
        };
        for body in ["", "{}", r#"{"a": [1]}"#] {
            let answer = create(body).await;
            assert_eq!(answer.status, 200, "{body}: {answer:?}");
            let (lifetime, day) = (answer.json()["unused_expires_at"].as_u64().unwrap(), 86_400_000);
            let created = 1_700_000_000_000;
            assert!(lifetime > created + day, "{answer:?}");
        }
        for body in ["[]", "1", "null", "\"x\"", "{", "{}{}", "nonsense"] {
            create(body).await.refused(400, "M_NOT_JSON");
        }
    }

    /// Completing: who may, and what there is to complete (nothing: no upload URL is given out).
    async fn there_is_nothing_to_complete(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = alice.create().await;
        let complete = async |client: &Client, id: &str| {
            client.ask(Method::POST, &format!("/_matrix/media/v1/upload/{id}/complete")).await
        };

        complete(&alice, "other.test/abc").await.refused(404, "M_NOT_FOUND");
        complete(&alice, "media.test/nobody").await.refused(404, "M_NOT_FOUND");
        complete(&bob, &id).await.refused(403, "M_FORBIDDEN");
        complete(&alice, &id).await.refused(400, "M_NOT_YET_UPLOADED");
        alice.put(&id, "hello").await.ok();
        complete(&alice, &id).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    }
}

/// Twenty uploads to one id by two instances have one winner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_uploads_by_two_instances_exactly_one_wins() {
    let mut deployment = Setup::new(Shape::Four).start().await;
    let (here, there) = (deployment.alice(), Client::plain(deployment.start_api().await, "alice-token"));
    let id = here.create().await;
    let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(200_000, seed)).collect();

    let puts =
        files.iter().enumerate().map(|(nth, file)| if nth % 2 == 0 { &here } else { &there }.put(&id, file.clone()));
    let answers = join_all(puts).await;

    let winners: Vec<usize> = (0..20).filter(|nth| answers[*nth].status == 200).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    }
    for client in [&here, &there] {
        assert!(client.download(&id).await.ok() == files[winners[0]], "the bytes are not the winner's");
    }
}

/// The instance that took an upload is killed: the id is free again by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_free_again_when_the_instance_that_filled_it_is_killed() {
    let mut deployment =
        Setup::new(Shape::Four).set("api", "body_timeout", "2s").set("uploads", "idle_timeout", "13s").start().await;
    let there = Client::plain(deployment.start_api().await, "alice-token");
    let id = deployment.alice().create().await;
    let wire = begin(&deployment, &id).await;
    there.put(&id, "too soon").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");

    deployment.api().kill();
    drop(wire);

    eventually("the id is free", async || (there.put(&id, "hello").await.status == 200).then_some(())).await;
    assert_eq!(there.download(&id).await.ok(), "hello");
}
