//! Keys of other servers: which documents prove one, and how often they are asked for.

use heliograph_tests::{Deployment, Peer, Setup, Shape, both_shapes};
use reqwest::Method;
use serde_json::{Value, json};

const KEYS: &str = "/_matrix/key/v2/server";
const KEY_ID: &str = "ed25519:a_test";

/// The document of the peer after a change, signed anew.
fn publish(peer: &Peer, change: impl FnOnce(&mut Value)) {
    let mut document = peer.homeserver.key_document();
    document.as_object_mut().unwrap().remove("signatures");
    change(&mut document);
    let signature = peer.homeserver.signature(&document);
    document["signatures"] = json!({peer.name(): {KEY_ID: signature}});
    peer.homeserver.publish(KEYS, 200, "", document);
}

async fn start(shape: Shape) -> (Deployment, Peer, String) {
    let peer = Peer::start().await;
    let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
    let id = deployment.alice().upload("hello", "text/plain").await;
    let path = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);
    (deployment, peer, path)
}

/// Nothing is remembered of servers that were not asked about before.
async fn refused_with(shape: Shape, change: impl FnOnce(&mut Value)) {
    let (deployment, peer, path) = start(shape).await;
    publish(&peer, change);

    peer.get(&deployment, &path).await.refused(401, "M_UNAUTHORIZED");
}

both_shapes! {
    /// A good document is asked for once.
    async fn a_key_is_fetched_once(shape: Shape) {
        let (deployment, peer, path) = start(shape).await;
        publish(&peer, |_| {});

        for _ in 0..5 {
            peer.get(&deployment, &path).await.ok();
        }

        assert_eq!(peer.homeserver.requests("GET /_matrix/key/").len(), 1);
    }

    /// Its time is over.
    async fn a_key_that_has_expired_proves_nothing(shape: Shape) {
        refused_with(shape, |document| document["valid_until_ts"] = json!(1_600_000_000_000_u64)).await;
    }

    /// It is somebody else's.
    async fn a_key_of_another_name_proves_nothing(shape: Shape) {
        refused_with(shape, |document| document["server_name"] = json!("other.test")).await;
    }

    /// It is for old events alone.
    async fn an_old_key_proves_nothing(shape: Shape) {
        refused_with(shape, |document| {
            let key = document["verify_keys"][KEY_ID]["key"].clone();
            document["old_verify_keys"] = json!({KEY_ID: {"key": key, "expired_ts": 1_700_000_000_000_u64}});
            document["verify_keys"] = json!({});
        })
        .await;
    }

    /// A document that nobody signed, or that was changed since.
    async fn a_document_without_a_good_signature_proves_nothing(shape: Shape) {
        for spoil in [
            |document: &mut Value| drop(document.as_object_mut().unwrap().remove("signatures")),
            |document: &mut Value| document["signatures"] = json!({}),
            |document: &mut Value| document["valid_until_ts"] = json!(4_102_444_800_001_u64),
        ] {
            let (deployment, peer, path) = start(shape).await;
            let mut document = peer.homeserver.key_document();
            spoil(&mut document);
            peer.homeserver.publish(KEYS, 200, "", document);

            peer.get(&deployment, &path).await.refused(401, "M_UNAUTHORIZED");
        }
    }

    /// A server whose keys cannot be had proves nothing, and is not asked by each request.
    async fn a_server_without_keys_is_left_alone(shape: Shape) {
        let (deployment, peer, path) = start(shape).await;
        peer.homeserver.publish(KEYS, 500, "", json!({}));

        for _ in 0..10 {
            peer.get(&deployment, &path).await.refused(401, "M_UNAUTHORIZED");
        }

        assert!(peer.homeserver.requests("GET /_matrix/key/").len() <= 2, "asked again and again");
    }

    /// Strangers cannot make us hammer a third server by naming keys that it does not have.
    async fn a_flood_of_unknown_keys_reaches_nobody(shape: Shape) {
        let (deployment, peer, path) = start(shape).await;
        peer.get(&deployment, &path).await.ok();

        for nth in 0..30 {
            let header = peer.homeserver.sign("GET", &path, "media.test").replace(KEY_ID, &format!("ed25519:made_up_{nth}"));
            let request = deployment.stranger().request(Method::GET, &path).header("authorization", header);
            heliograph_tests::Answer::of(request).await.refused(401, "M_UNAUTHORIZED");
        }

        assert!(peer.homeserver.requests("GET /_matrix/key/").len() <= 2, "asked again and again");
        peer.get(&deployment, &path).await.ok();
    }
}
