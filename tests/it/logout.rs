//! The end of a token: at once, everywhere, if it went through us.

use heliograph_tests::{Client, Deployment, Setup, Shape, both_shapes};
use reqwest::Method;
use serde_json::json;

const CONFIG: &str = "/_matrix/client/v1/media/config";

/// So long that nobody forgets a token by itself.
async fn start(shape: Shape) -> Deployment {
    Setup::new(shape).set_of_homeserver("token_ttl", "1h").start().await
}

both_shapes! {
    async fn a_token_that_was_logged_out_here_is_dead_at_once(shape: Shape) {
        for path in ["/_matrix/client/v3/logout", "/_matrix/client/r0/logout"] {
            let deployment = start(shape).await;
            let bob = deployment.bob();
            assert_eq!(bob.get(CONFIG).await.status, 200);

            let answer = bob.ask(Method::POST, path).await;

            assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({})));
            bob.get(CONFIG).await.refused(401, "M_UNKNOWN_TOKEN");
            bob.try_upload("hello", "text/plain").await.refused(401, "M_UNKNOWN_TOKEN");
            assert_eq!(deployment.alice().get(CONFIG).await.status, 200);
            assert_eq!(deployment.homeserver.requests("POST /_matrix/client/v3/logout").len(), 1);
        }
    }

    async fn all_tokens_of_a_user_are_dead_when_all_were_logged_out(shape: Shape) {
        let deployment = start(shape).await;
        let (bob, alice) = (deployment.bob(), deployment.alice());
        // The second token of the same user.
        let phone = bob.with_token("bobs-phone");
        deployment.homeserver.give("bob", "bobs-phone");
        for client in [&bob, &phone, &alice] {
            assert_eq!(client.get(CONFIG).await.status, 200);
        }

        bob.ask(Method::POST, "/_matrix/client/v3/logout/all").await.ok();

        bob.get(CONFIG).await.refused(401, "M_UNKNOWN_TOKEN");
        phone.get(CONFIG).await.refused(401, "M_UNKNOWN_TOKEN");
        assert_eq!(alice.get(CONFIG).await.status, 200);
    }

    async fn who_was_not_logged_in_is_not_logged_out(shape: Shape) {
        let deployment = start(shape).await;

        for path in ["/_matrix/client/v3/logout", "/_matrix/client/v3/logout/all"] {
            deployment.stranger().ask(Method::POST, path).await.refused(401, "M_MISSING_TOKEN");
            deployment.user("nobody").ask(Method::POST, path).await.refused(401, "M_UNKNOWN_TOKEN");
        }
        deployment.user("guest").ask(Method::POST, "/_matrix/client/v3/logout").await.ok();
        deployment.user("guest").download("media.test/abc").await.refused(401, "M_UNKNOWN_TOKEN");
    }

    async fn a_homeserver_that_cannot_log_out_is_told_as_such(shape: Shape) {
        let deployment = start(shape).await;
        let bob = deployment.bob();
        assert_eq!(bob.get(CONFIG).await.status, 200);
        deployment.homeserver.publish("/_matrix/client/v3/logout", 500, "", json!({"errcode": "M_UNKNOWN"}));

        let answer = bob.ask(Method::POST, "/_matrix/client/v3/logout").await;

        assert!(matches!(answer.status.as_u16(), 502 | 503), "{answer:?}");
        assert_eq!(answer.error().1, "M_UNKNOWN");
        // The homeserver is asked again, and knows the token as before.
        assert_eq!(bob.get(CONFIG).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_hears_of_a_logout_at_once() {
    for path in ["/_matrix/client/v3/logout", "/_matrix/client/v3/logout/all"] {
        let mut deployment = start(Shape::Four).await;
        let there = Client::plain(deployment.start_api().await, "bob-token");
        let here = deployment.bob();
        for client in [&here, &there] {
            assert_eq!(client.get(CONFIG).await.status, 200);
        }

        here.ask(Method::POST, path).await.ok();

        here.get(CONFIG).await.refused(401, "M_UNKNOWN_TOKEN");
        let began = std::time::Instant::now();
        heliograph_tests::eventually("the other has heard", async || {
            (there.get(CONFIG).await.status == 401).then_some(())
        })
        .await;
        assert!(began.elapsed() < std::time::Duration::from_secs(1), "{path}: only after {:?}", began.elapsed());
    }
}
