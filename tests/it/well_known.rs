//! Where the homeserver and its media are, as it is published (MSC3859).

use heliograph_tests::{Answer, Deployment, Setup, Shape, both_shapes};
use serde_json::{Value, json};

const CLIENT: &str = "/.well-known/matrix/client";
const SERVER: &str = "/.well-known/matrix/server";
const PREFIXED: &str = "com.beeper.msc3859.m.media_server";

fn with_names(shape: Shape) -> Setup {
    Setup::new(shape)
        .set_of_homeserver("media_base_url", "https://files.media.test")
        .set_of_homeserver("media_server_name", "files.media.test:443")
}

/// As anyone reads it.
async fn read(deployment: &Deployment, path: &str) -> Value {
    let answer = deployment.stranger().get(path).await;
    assert_eq!(
        (answer.header("access-control-allow-origin"), answer.header("content-type")),
        ("*", "application/json")
    );
    assert!(!answer.header("cache-control").is_empty(), "{answer:?}");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

both_shapes! {
    async fn what_the_homeserver_publishes_is_told_with_the_media_server_in_it(shape: Shape) {
        let deployment = with_names(shape).start().await;
        let homeserver = &deployment.homeserver;
        homeserver.publish(CLIENT, 200, "Cache-Control: public, max-age=77\r\n",
            json!({"m.homeserver": {"base_url": "https://media.test"}, "org.example.other": [1]}));
        homeserver.publish(SERVER, 200, "", json!({"m.server": "matrix.media.test:443", "org.example.other": 1}));

        let media = json!({"base_url": "https://files.media.test"});
        let expected = json!({
            "m.homeserver": {"base_url": "https://media.test"}, "org.example.other": [1],
            "m.media_server": media, PREFIXED: media,
        });
        assert_eq!(read(&deployment, CLIENT).await, expected);
        assert_eq!(deployment.stranger().get(CLIENT).await.header("cache-control"), "public, max-age=77");
        let name = "files.media.test:443";
        let expected = json!({
            "m.server": "matrix.media.test:443", "org.example.other": 1, "m.media_server": name, PREFIXED: name,
        });
        assert_eq!(read(&deployment, SERVER).await, expected);
    }

    async fn what_the_settings_say_comes_before_the_homeserver(shape: Shape) {
        let deployment = with_names(shape)
            .set_of_homeserver("well_known_client", r#"{"m.homeserver": {"base_url": "https://a.test"}, "x": 1}"#)
            .set_of_homeserver("well_known_server", r#"{"m.server": "a.test:443"}"#)
            .set_of_homeserver("publish_unprefixed", false)
            .start()
            .await;
        for path in [CLIENT, SERVER] {
            deployment.homeserver.publish(path, 200, "", json!({"m.homeserver": {"base_url": "https://wrong.test"}, "m.server": "wrong"}));
        }

        let media = json!({"base_url": "https://files.media.test"});
        let expected = json!({"m.homeserver": {"base_url": "https://a.test"}, "x": 1, PREFIXED: media});
        assert_eq!(read(&deployment, CLIENT).await, expected);
        assert_eq!(read(&deployment, SERVER).await, json!({"m.server": "a.test:443", PREFIXED: "files.media.test:443"}));
        assert!(deployment.homeserver.requests("GET /.well-known/").is_empty());
    }

    async fn without_names_nothing_is_added(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (client, server) = (json!({"m.homeserver": {"base_url": "https://media.test"}}), json!({"m.server": "media.test:443"}));
        deployment.homeserver.publish(CLIENT, 200, "", client.clone());
        deployment.homeserver.publish(SERVER, 200, "", server.clone());

        assert_eq!(read(&deployment, CLIENT).await, client);
        assert_eq!(read(&deployment, SERVER).await, server);
    }

    async fn nothing_is_published_where_there_is_nothing_to_publish(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for path in [CLIENT, SERVER] {
            let answer = deployment.stranger().get(path).await;
            answer.refused(404, "M_NOT_FOUND");
            assert_eq!(answer.header("access-control-allow-origin"), "*");
        }
    }

    async fn a_media_server_alone_is_told_to_servers_and_not_to_clients(shape: Shape) {
        let deployment = with_names(shape).start().await;

        // Clients can do nothing without a homeserver.
        deployment.stranger().get(CLIENT).await.refused(404, "M_NOT_FOUND");
        let name = "files.media.test:443";
        assert_eq!(read(&deployment, SERVER).await, json!({"m.media_server": name, PREFIXED: name}));
    }

    async fn a_homeserver_that_is_out_of_reach_is_no_reason_to_publish_nonsense(shape: Shape) {
        let deployment = with_names(shape).start().await;

        for body in [json!("text"), json!([])] {
            deployment.homeserver.publish(CLIENT, 200, "", body);
            deployment.stranger().get(CLIENT).await.refused(502, "M_UNKNOWN");
        }
        deployment.homeserver.publish(SERVER, 503, "", json!({}));
        let answer: Answer = deployment.stranger().get(SERVER).await;
        answer.refused(502, "M_UNKNOWN");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}
