//! What must not be written down: tokens, and the keys that sign.

use heliograph_tests::{Deployment, Peer, Setup, Shape, both_shapes, jpeg};
use reqwest::Method;
use serde_json::json;

/// Tokens as a careless line would show them.
const TOKENS: [&str; 5] = ["alice-token", "bob-token", "guest-token", "stolen-secret", "operators-secret"];

/// Every way in which a token reaches us, and every outcome.
async fn use_everything(deployment: &Deployment, peer: &Peer) {
    let (alice, stranger) = (deployment.alice(), deployment.stranger());
    let id = alice.upload(jpeg(400, 300), "image/jpeg").await;
    let media_id = id.split_once('/').unwrap().1.to_owned();
    let queried = [
        format!("/_matrix/client/v1/media/download/{id}?access_token=bob-token"),
        format!(
            "/_matrix/client/v1/media/thumbnail/{id}?width=96&height=96&access_token=bob-token&user_id=@bob:media.test"
        ),
        format!("/_matrix/media/v3/download/{id}?access_token=stolen-secret"),
        "/_matrix/client/v1/media/config?access_token=stolen-secret".to_owned(),
        "/_matrix/client/v1/media/nothing?access_token=bob-token".to_owned(),
        "/_matrix/client/versions?access_token=stolen-secret".to_owned(),
        format!("/_matrix/client/v1/media/download/{}/abc?access_token=bob-token", peer.name()),
        "/_matrix/client/v1/media/download/127.0.0.9:1/abc?access_token=bob-token".to_owned(),
        format!("/_synapse/admin/v1/media/{id}?access_token=alice-token"),
    ];
    for path in queried {
        stranger.get(&path).await;
        stranger.ask(Method::HEAD, &path).await;
        stranger.ask(Method::PATCH, &path).await;
        stranger.ask(Method::OPTIONS, &path).await;
    }
    stranger.ask(Method::POST, "/_matrix/media/v3/upload?access_token=bob-token&filename=x").await.ok();
    stranger.ask(Method::POST, "/_matrix/media/v1/create?access_token=bob-token").await.ok();
    alice.with_token("stolen-secret").download(&id).await.refused(401, "M_UNKNOWN_TOKEN");
    deployment.user("guest").try_upload("x", "text/plain").await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    peer.get(deployment, &format!("/_matrix/federation/v1/media/download/{media_id}")).await.ok();
    alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();
    deployment.homeserver.feels(heliograph_tests::Mood::Says(500, json!({"error": "stolen-secret"})));
    alice.with_token("operators-secret").get("/_matrix/client/v1/media/config").await;
    deployment.homeserver.feels(heliograph_tests::Mood::Well);
    alice.ask(Method::POST, "/_matrix/client/v3/logout").await.ok();
    stranger.ask(Method::POST, "/_matrix/client/v3/logout/all?access_token=bob-token").await.ok();
}

both_shapes! {
    async fn no_token_and_no_signature_is_ever_logged(shape: Shape) {
        let peer = Peer::start().await;
        let mut deployment = Setup::new(shape)
            .set("telemetry", "log_filter", "debug")
            .set_of_homeserver("admin_token", "operators-secret")
            .trusts(&peer.authority())
            .start()
            .await;

        use_everything(&deployment, &peer).await;

        for process in deployment.processes() {
            process.signal("TERM");
            process.wait();
        }
        let log = deployment.log();
        let lines = |secret: &str| log.lines().filter(|line| line.contains(secret)).take(3).collect::<Vec<_>>().join("\n");
        assert!(log.contains("\"DEBUG\"") && log.contains("/_matrix/client/v1/media/"), "nothing was logged at all");
        for secret in TOKENS {
            assert!(!log.contains(secret), "{secret} is in the log:\n{}", lines(secret));
        }
        let key = std::fs::read_to_string(deployment.folder().join("signing.key")).unwrap();
        let seed = key.split_whitespace().last().unwrap();
        assert!(!log.contains(seed), "the signing key is in the log:\n{}", lines(seed));
        assert!(!log.contains("sig=\""), "a signature is in the log:\n{}", lines("sig=\""));
    }
}
