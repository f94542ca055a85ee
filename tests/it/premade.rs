//! What is made of new pictures, and which sizes there are: as it is set.

use heliograph_tests::{Client, Setup, Shape, both_shapes, eventually, jpeg, jpeg_size};
use serde_json::{Value, json};

const PREMADE: [&str; 3] = ["32x32-crop", "320x240-scale", "640x480-scale"];

/// What is known of a picture, once it is.
async fn facts(administrator: &Client, id: &str) -> Value {
    eventually("the picture is looked at", async || {
        let info = administrator.get(&format!("/_synapse/admin/v1/media/{id}")).await.json();
        info["media_info"].get("org.heliograph.picture").cloned()
    })
    .await
}

async fn size(client: &Client, id: &str, query: &str) -> (u16, u16) {
    jpeg_size(&client.thumbnail(id, query).await.ok()).unwrap()
}

both_shapes! {
    async fn a_new_picture_is_looked_at_and_has_its_thumbnails_before_anybody_asks(shape: Shape) {
        let premade = PREMADE.map(toml::Value::from).to_vec();
        let deployment = Setup::new(shape).set("thumbnails", "premade", premade).start().await;
        let alice = deployment.alice();

        let id = deployment.bob().upload(jpeg(1600, 1200), "image/jpeg").await;
        let text = deployment.bob().upload("hello", "text/plain").await;
        let facts = facts(&alice, &id).await;

        assert_eq!((&facts["width"], &facts["height"], &facts["duration_ms"]), (&json!(1600), &json!(1200), &json!(0)));
        assert!(facts["blurhash"].as_str().is_some_and(|hash| hash.len() > 6), "{facts}");
        assert_eq!(size(&alice, &id, "width=320&height=240").await, (320, 240));
        assert_eq!(size(&alice, &id, "width=32&height=32&method=crop").await, (32, 32));
        let of_text = alice.get(&format!("/_synapse/admin/v1/media/{text}")).await.json();
        assert_eq!(of_text["media_info"].get("org.heliograph.picture"), None);
    }

    async fn sizes_are_those_that_are_set(shape: Shape) {
        let boxes = ["100x100", "400x300"].map(toml::Value::from).to_vec();
        let deployment = Setup::new(shape).set("thumbnails", "boxes", boxes).start().await;
        let alice = deployment.alice();
        let id = deployment.bob().upload(jpeg(1600, 1200), "image/jpeg").await;

        for (query, expected) in
            [("width=90&height=90", (100, 75)), ("width=101&height=10", (400, 300)), ("width=9000&height=9", (400, 300))]
        {
            assert_eq!(size(&alice, &id, query).await, expected, "{query}");
        }
    }

    async fn dynamic_sizes_are_as_they_are_asked_for(shape: Shape) {
        let deployment = Setup::new(shape).set("thumbnails", "dynamic_sizes", true).start().await;
        let alice = deployment.alice();
        let id = deployment.bob().upload(jpeg(1600, 1200), "image/jpeg").await;

        for _ in 0..2 {
            assert_eq!(size(&alice, &id, "width=200&height=200").await, (200, 150));
            assert_eq!(size(&alice, &id, "width=77&height=55&method=crop").await, (77, 55));
        }
    }
}
