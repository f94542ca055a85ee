//! Who is asking: what the homeserver says about a token decides, and its silence is no answer.

use heliograph_tests::{Mood, Setup, Shape, both_shapes};
use serde_json::json;

both_shapes! {
    async fn without_a_valid_token_nobody_gets_anything(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let (nobody, stranger) = (deployment.alice().without_token(), deployment.alice().with_token("nonsense"));
        let paths = [
            format!("/_matrix/client/v1/media/download/{id}"),
            format!("/_matrix/client/v1/media/thumbnail/{id}"),
            "/_matrix/client/v1/media/download/not%20a%20name/!".to_owned(),
            "/_matrix/client/v1/media/config".to_owned(),
        ];

        for path in paths {
            assert_eq!(nobody.get(&path).await.error(), (401, "M_MISSING_TOKEN".to_owned()), "{path}");
            assert_eq!(stranger.get(&path).await.error(), (401, "M_UNKNOWN_TOKEN".to_owned()), "{path}");
        }
        assert_eq!(nobody.try_upload("x", "text/plain").await.error(), (401, "M_MISSING_TOKEN".to_owned()));
        assert_eq!(stranger.try_upload("x", "text/plain").await.error(), (401, "M_UNKNOWN_TOKEN".to_owned()));
        assert_eq!(stranger.put(&id, "x").await.error(), (401, "M_UNKNOWN_TOKEN".to_owned()));
    }

    async fn a_homeserver_that_is_down_logs_nobody_out(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let moods = [(503, json!({})), (502, json!("no JSON error")), (500, json!({"errcode": "M_UNKNOWN"})), (200, json!({}))];

        for (status, body) in moods {
            deployment.homeserver.feels(Mood::Says(status, body.clone()));
            // Bob has not been seen: nothing is remembered of him.
            let answer = deployment.bob().download(&id).await;

            assert!(matches!(answer.status.as_u16(), 502 | 503), "{status} {body}: {answer:?}");
            assert_eq!(answer.error().1, "M_UNKNOWN");
        }

        deployment.homeserver.feels(Mood::Well);
        assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
    }

    async fn a_homeserver_that_is_gone_logs_nobody_out(shape: Shape) {
        let nowhere = format!("http://127.0.0.1:{}", heliograph_tests::free_port());
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        heliograph_tests::Homeserver::start("media.test").await.write_key(&key);
        let mut deployment = Setup::new(shape).homeserver(&nowhere, &key).prepare().await;
        deployment.launch();
        let alive = heliograph_tests::Client::plain(deployment.address(), "alice-token");
        heliograph_tests::eventually("it lives", async || {
            alive.request(reqwest::Method::GET, "/livez").send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;

        let answer = deployment.alice().try_upload("hello", "text/plain").await;

        assert_eq!(answer.error(), (503, "M_UNKNOWN".to_owned()));
    }

    async fn what_the_homeserver_refuses_reaches_the_client_unchanged(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let refusals = [
            (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true})),
            (401, json!({"errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": true})),
            (403, json!({"errcode": "M_FORBIDDEN", "error": "forbidden"})),
        ];

        for (status, body) in refusals {
            deployment.homeserver.feels(Mood::Says(status, body.clone()));
            // A token of its own each time: answers are remembered for a while.
            let client = deployment.alice().with_token(body["error"].as_str().unwrap());
            let answer = client.get("/_matrix/client/v1/media/config").await;

            assert_eq!((answer.status.as_u16(), answer.json()), (status, body));
        }
    }

    async fn a_homeserver_that_sheds_load_makes_us_shed_it(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": 2000});
        deployment.homeserver.feels(Mood::Says(429, body));

        let answer = deployment.alice().get("/_matrix/client/v1/media/config").await;

        assert_eq!(answer.error(), (429, "M_LIMIT_EXCEEDED".to_owned()));
    }

    async fn guests_look_and_do_not_touch(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let guest = deployment.alice().with_token("guest-token");

        assert_eq!(guest.download(&id).await.ok(), "hello");
        assert_eq!(
            guest.try_upload("x", "text/plain").await.error(),
            (403, "M_GUEST_ACCESS_FORBIDDEN".to_owned())
        );
    }

    async fn a_token_is_not_asked_about_again_and_again(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let asked = deployment.homeserver.asked();

        for _ in 0..10 {
            deployment.alice().download(&id).await.ok();
        }

        assert_eq!(deployment.homeserver.asked(), asked);
    }
}
