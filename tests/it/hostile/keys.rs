//! Servers whose requests we are to believe, and whose keys are wrong, or never come.

use futures_util::future::join_all;
use heliograph_tests::{
    Act, Answer, Entrance, Homeserver, Script, ScriptedOrigin, Shape, Silence, answer, answer_with, both_shapes,
    free_port, head,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{DEADLINE, Siege, nothing};

const KEY_ID: &str = "ed25519:a_test";

/// Another server that signs as it should, and what it says of its keys.
struct Signer {
    what: &'static str,
    homeserver: Homeserver,
    _origin: ScriptedOrigin,
}

impl Signer {
    async fn start(siege: &Siege, what: &'static str, keys: impl FnOnce(&Homeserver) -> Script) -> Self {
        let place = (ScriptedOrigin::ADDRESS, free_port()).into();
        let homeserver = Homeserver::start(&format!("{place}")).await;
        let script = keys(&homeserver);
        let origin = ScriptedOrigin::start_at(place, Entrance::tls(&siege.identity, move |_| script.clone())).await;
        Self { what, homeserver, _origin: origin }
    }

    /// Asks for a medium that is there.
    async fn ask(&self, siege: &Siege, media_id: &str) -> Answer {
        let target = format!("/_matrix/federation/v1/media/download/{media_id}");
        let signature = self.homeserver.sign("GET", &target, siege.heliograph.homeserver.name());
        let request = siege.heliograph.stranger().request(Method::GET, &target).header("authorization", signature);
        timeout(DEADLINE, Answer::of(request)).await.unwrap_or_else(|_| panic!("{}: it does not end", self.what))
    }
}

/// The document, changed and signed again.
fn changed(homeserver: &Homeserver, change: impl FnOnce(&mut Value)) -> Script {
    let mut document = homeserver.key_document();
    document.as_object_mut().unwrap().remove("signatures");
    change(&mut document);
    let name = document["server_name"].as_str().unwrap().to_owned();
    document["signatures"] = json!({name: {KEY_ID: homeserver.signature(&document)}});
    answer("200 OK", &document.to_string())
}

both_shapes! {
    async fn nobody_is_believed_whose_keys_are_wrong(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let id = siege.heliograph.alice().upload("hello", "text/plain").await;
        let (_, media_id) = id.split_once('/').unwrap();
        let forbidden = Silence::at(&["127.66.1.3".parse().unwrap()]).await;
        let elsewhere = format!("Location: https://127.66.1.3:{}/_matrix/key/v2/server\r\n", forbidden.port());
        let stranger = Homeserver::start("127.0.0.8:1").await;
        let good = Signer::start(&siege, "good keys", |it| answer("200 OK", &it.key_document().to_string())).await;

        let signers = vec![
            Signer::start(&siege, "of another server", |_| answer("200 OK", &stranger.key_document().to_string())).await,
            Signer::start(&siege, "in another name", |it| changed(it, |keys| keys["server_name"] = "a.test".into())).await,
            Signer::start(&siege, "ended", |it| changed(it, |keys| keys["valid_until_ts"] = 1_000_000.into())).await,
            Signer::start(&siege, "without an end", |it| changed(it, |keys| keys["valid_until_ts"] = Value::Null)).await,
            Signer::start(&siege, "old ones alone", |it| changed(it, old_alone)).await,
            Signer::start(&siege, "none", |it| changed(it, |keys| keys["verify_keys"] = json!({}))).await,
            Signer::start(&siege, "of another kind", |it| changed(it, |keys| keys["verify_keys"][KEY_ID]["key"] = "AAAA".into())).await,
            Signer::start(&siege, "another one", |it| changed(it, |keys| {
                keys["verify_keys"] = stranger.key_document()["verify_keys"].clone();
            })).await,
            Signer::start(&siege, "not signed", |it| answer("200 OK", &without(it.key_document(), "signatures"))).await,
            Signer::start(&siege, "signed by another", |it| {
                let signatures = json!({it.name(): {KEY_ID: stranger.signature(&json!({}))}});
                let mut document = it.key_document();
                document["signatures"] = signatures;
                answer("200 OK", &document.to_string())
            }).await,
            Signer::start(&siege, "no JSON", |_| answer("200 OK", "<html>")).await,
            Signer::start(&siege, "deep JSON", |_| answer("200 OK", &"[".repeat(60_000))).await,
            Signer::start(&siege, "not found", |_| answer("404 Not Found", "{}")).await,
            Signer::start(&siege, "broken", |it| answer("500 Broken", &it.key_document().to_string())).await,
            Signer::start(&siege, "elsewhere", |_| answer_with("302 Found", &elsewhere, "")).await,
            Signer::start(&siege, "without an end of it", |_| {
                vec![Act::send(head("200 OK", "")), Act::SendForever("{\"a\": ".repeat(1000).into())]
            }).await,
            Signer::start(&siege, "a byte a second", |_| vec![Act::send(head("200 OK", "")), Act::Drip(" ".into())]).await,
            Signer::start(&siege, "cut", |it| {
                let half = it.key_document().to_string()[..100].to_owned();
                vec![Act::send(head("200 OK", "Content-Length: 1000\r\n") + &half), Act::Cut]
            }).await,
            Signer::start(&siege, "never", |_| nothing()).await,
        ];
        // Nobody else waits for those.
        let attack = join_all(signers.iter().map(|signer| signer.ask(&siege, media_id)));
        let answers = attack.await;
        let honest = good.ask(&siege, media_id).await;

        for (signer, answer) in signers.iter().zip(&answers) {
            assert_eq!(answer.error(), (401, "M_UNAUTHORIZED".to_owned()), "{}", signer.what);
        }
        assert!(String::from_utf8_lossy(&honest.ok()).contains("hello"));
        siege.while_others_go_on(async {}).await;
        forbidden.was_kept().await;
    }
}

fn old_alone(keys: &mut Value) {
    let mut old = keys["verify_keys"].take();
    old[KEY_ID]["expired_ts"] = 4_000_000_000_000_u64.into();
    (keys["old_verify_keys"], keys["verify_keys"]) = (old, json!({}));
}

fn without(mut document: Value, member: &str) -> String {
    document.as_object_mut().unwrap().remove(member);
    document.to_string()
}
