//! The versions of the homeserver, with what is served in its place.

use heliograph_tests::{Answer, Deployment, Setup, Shape, both_shapes, free_port};
use serde_json::{Value, json};

const VERSIONS: &str = "/_matrix/client/versions";

fn publish(deployment: &Deployment, body: Value) {
    deployment.homeserver.publish(VERSIONS, 200, "", body);
}

fn assert_headers(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("vary"), "Authorization");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

both_shapes! {
    async fn flags_are_added_to_those_of_the_homeserver(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        publish(&deployment, json!({
            "versions": ["r0.6.1", "v1.1"],
            "unstable_features": {"org.example.feature": true, "org.example.off": false, "org.matrix.msc3916": false},
            "server": {"name": "Synapse"},
        }));

        let answer = deployment.stranger().get(VERSIONS).await;

        assert_headers(&answer);
        let expected = json!({
            "versions": ["r0.6.1", "v1.1", "v1.11"],
            "unstable_features": {
                "org.example.feature": true, "org.example.off": false,
                "fi.mau.msc2246": true, "fi.mau.msc2246.stable": true,
                "org.matrix.msc3916": true, "org.matrix.msc3916.stable": true,
            },
            "server": {"name": "Synapse"},
        });
        assert_eq!(answer.json(), expected);
    }

    async fn the_version_that_clients_look_for_is_there_once(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        for versions in [json!(["v1.11"]), json!(["v1.10", "v1.11", "v1.12"])] {
            publish(&deployment, json!({"versions": versions}));
            assert_eq!(deployment.alice().get(VERSIONS).await.json()["versions"], versions);
        }
        // The exact text is what counts.
        publish(&deployment, json!({"versions": ["v1.110", "v1.1"]}));
        assert_eq!(deployment.alice().get(VERSIONS).await.json()["versions"], json!(["v1.110", "v1.1", "v1.11"]));
    }

    async fn no_version_is_added_if_the_operator_does_not_want_it(shape: Shape) {
        let deployment = Setup::new(shape).set_of_homeserver("force_v1_11", false).start().await;
        publish(&deployment, json!({"versions": ["v1.1"]}));

        let answer = deployment.stranger().get(VERSIONS).await.json();

        assert_eq!(answer["versions"], json!(["v1.1"]));
        assert_eq!(answer["unstable_features"]["org.matrix.msc3916.stable"], true);
    }

    async fn a_token_that_has_expired_hides_nothing(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        let answer = deployment.user("expired").get(VERSIONS).await;

        assert_headers(&answer);
        assert_eq!(answer.json()["versions"], json!(["v1.11"]));
        assert_eq!(deployment.homeserver.requests("GET /_matrix/client/versions").len(), 2);
    }

    async fn the_refusal_is_passed_on_if_the_operator_wants_it(shape: Shape) {
        let deployment = Setup::new(shape).set_of_homeserver("versions_without_expired_token", false).start().await;

        deployment.user("expired").get(VERSIONS).await.refused(401, "M_UNKNOWN_TOKEN");
        assert_headers(&deployment.alice().get(VERSIONS).await);
    }

    async fn no_list_is_invented(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        for (status, body) in [(500, json!({})), (503, json!("text")), (200, json!("text")), (200, json!([]))] {
            deployment.homeserver.publish(VERSIONS, status, "", body);
            deployment.stranger().get(VERSIONS).await.refused(502, "M_UNKNOWN");
            deployment.alice().get(VERSIONS).await.refused(502, "M_UNKNOWN");
        }
    }

    async fn a_homeserver_that_is_gone_is_told_as_such(shape: Shape) {
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        heliograph_tests::Homeserver::start("media.test").await.write_key(&key);
        let mut deployment = Setup::new(shape).homeserver(&nowhere, &key).prepare().await;
        deployment.launch();
        heliograph_tests::eventually("it lives", async || {
            let request = deployment.stranger().request(reqwest::Method::GET, "/livez");
            request.send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;

        let answer = deployment.stranger().get(VERSIONS).await;

        answer.refused(502, "M_UNKNOWN");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}
