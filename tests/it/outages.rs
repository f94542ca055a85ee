//! What happens while the shared state is out of reach is not forgotten.

use heliograph_tests::{Setup, Shape, eventually, noise};
use reqwest::Method;
use serde_json::json;

/// What was stored and deleted while nobody could count is counted when somebody can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_redis_was_out_of_reach_is_counted_later() {
    let deployment = Setup::new(Shape::Four).add("quota", [("max_files", 5.into())]).start().await;
    let (alice, bob) = (deployment.alice(), deployment.bob());
    let first = bob.upload(noise(1000, 1), "text/plain").await;
    let redis = deployment.redis.as_ref().unwrap();

    redis.pause();
    bob.upload(noise(500, 2), "text/plain").await;
    bob.upload(noise(600, 3), "text/plain").await;
    alice.ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{first}")).await.ok();
    redis.go_on();

    let expected = json!({"m.storage.used": 1100, "m.storage.files": 2});
    eventually("usage is right again", async || {
        let told = bob.get("/_matrix/media/v3/usage").await.json();
        (told == expected).then_some(())
    })
    .await;
}
