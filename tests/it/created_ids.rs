//! Ids that are created first and filled later.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use heliograph_tests::{Setup, Shape, Wire, both_shapes, eventually, noise};
use serde_json::Value;

both_shapes! {
    async fn a_created_id_can_be_filled_once_by_its_creator(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let id = alice.create().await;

        let foreign = deployment.bob().put(&id, "not mine").await;
        let first = alice.put(&id, "hello").await;
        let second = alice.put(&id, "again").await;
        let empty = alice.put(&id, "").await;

        assert_eq!(foreign.error(), (403, "M_FORBIDDEN".to_owned()));
        assert_eq!(first.json(), Value::Object(serde_json::Map::new()));
        assert_eq!(second.error(), (409, "M_CANNOT_OVERWRITE_MEDIA".to_owned()));
        assert_eq!(empty.error(), (409, "M_CANNOT_OVERWRITE_MEDIA".to_owned()));
        assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
    }

    async fn an_id_from_an_upload_or_from_nowhere_cannot_be_filled(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let id = alice.upload("hello", "text/plain").await;

        assert_eq!(alice.put(&id, "again").await.error(), (409, "M_CANNOT_OVERWRITE_MEDIA".to_owned()));
        assert_eq!(alice.put("media.test/nobodyCreatedThis", "x").await.error(), (404, "M_NOT_FOUND".to_owned()));
        assert_eq!(alice.put("other.test/nobodyCreatedThis", "x").await.error(), (404, "M_NOT_FOUND".to_owned()));
    }

    async fn a_download_that_waits_is_woken_by_the_upload(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().create().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());

        // Polled first, so the download asks first; it would wait for 50 s.
        let patient = format!("{id}?timeout_ms=50000");
        let wait = bob.download(&patient);
        let fill = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            alice.put(&id, "hello").await
        };
        let (waited, filled) = tokio::join!(wait, fill);

        assert_eq!(filled.status, 200);
        assert_eq!(waited.ok(), "hello");
    }

    async fn a_download_does_not_wait_for_ever(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().create().await;

        let answer = deployment.bob().download(&format!("{id}?timeout_ms=100")).await;

        assert_eq!(answer.error(), (504, "M_NOT_YET_UPLOADED".to_owned()));
    }

    async fn of_twenty_uploads_to_one_id_exactly_one_wins(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let id = alice.create().await;
        let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(400_000, seed)).collect();

        let answers = join_all(files.iter().map(|file| alice.put(&id, file.clone()))).await;

        let mut outcomes: BTreeMap<(u16, String), usize> = BTreeMap::new();
        for answer in &answers {
            let outcome = if answer.status == 200 { (200, String::new()) } else { answer.error() };
            *outcomes.entry(outcome).or_default() += 1;
        }
        let expected = [((200, String::new()), 1), ((409, "M_CANNOT_OVERWRITE_MEDIA".to_owned()), 19)];
        assert_eq!(outcomes, BTreeMap::from(expected));
        let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
        assert!(deployment.bob().download(&id).await.ok() == files[winner], "the bytes are not the winner's");
    }

    async fn an_id_is_free_at_once_when_its_client_leaves(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();

        for stay in 0..12 {
            let id = alice.create().await;
            let mut wire = Wire::connect(deployment.address()).await;
            let line = format!("PUT /_matrix/media/v3/upload/{id}");
            wire.head(&line, "alice-token", "Content-Length: 100\r\n").await;
            wire.send(b"half of the ").await;
            // Leaves during admission, or just after it.
            tokio::time::sleep(Duration::from_millis(stay / 2)).await;
            drop(wire);

            // A lease that nobody gave back would last for thousands of tries.
            let mut tries = 0;
            while alice.put(&id, "by another try").await.status != 200 {
                tries += 1;
                assert!(tries < 500, "the id stays taken");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        eventually("no upload is left", async || (deployment.uploads_in_progress().await == 0).then_some(())).await;
    }

    async fn a_user_cannot_reserve_without_end(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "max_pending_per_user", 3).start().await;
        let alice = deployment.alice();
        let ids = [alice.create().await, alice.create().await, alice.create().await];

        let refused = alice.try_create().await;
        alice.put(&ids[0], "one is filled, its place is free").await.ok();
        alice.create().await;

        assert_eq!(refused.error(), (429, "M_LIMIT_EXCEEDED".to_owned()));
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
        deployment.bob().create().await;
    }
}
