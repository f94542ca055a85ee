//! What is made of new pictures, and which sizes there are: as it is set.

use std::net::SocketAddr;

use heliograph_tests::{
    Client, Deployment, Process, Redis, Setup, Shape, both_shapes, eventually, free_port, jpeg, jpeg_size,
};
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

fn premade() -> Setup {
    premade_in(Shape::Four)
}

fn premade_in(shape: Shape) -> Setup {
    // One at a time, so that it takes a while.
    let premade = PREMADE.map(toml::Value::from).to_vec();
    Setup::new(shape).set("thumbnails", "premade", premade).set("thumbnails", "workers", 1)
}

/// So many new pictures, by their ids.
async fn upload(deployment: &Deployment, pictures: u16) -> Vec<String> {
    let bob = deployment.bob();
    let mut ids = Vec::new();
    for picture in 0..pictures {
        ids.push(bob.upload(jpeg(720 + 4 * picture, 540 + 3 * picture), "image/jpeg").await);
    }
    ids
}

/// Until all that is made of each picture is there.
async fn all_made(deployment: &Deployment, ids: &[String]) {
    for id in ids {
        eventually("the thumbnails are made", async || {
            let stored = deployment.stored("thumbs");
            let media_id = id.rsplit('/').next().unwrap();
            let has = |name: &str| stored.iter().any(|key| key.contains(media_id) && key.ends_with(name));
            PREMADE.iter().all(|name| has(name)).then_some(())
        })
        .await;
    }
}

/// How many pictures somebody has taken, and not ended.
async fn pending(redis: &Redis) -> u32 {
    let summary = redis.tell("XPENDING heliograph:queue:{thumbnails} heliograph").await;
    summary.lines().nth(1).and_then(|count| count.trim_start_matches(':').parse().ok()).unwrap_or(0)
}

/// Lets a thumbnailer that is stopped go on until it has a picture in its hands, and stops it with that.
async fn go_on_until_at_work(thumbnailer: &Process, redis: &Redis) {
    eventually("it works on a picture", async || {
        thumbnailer.signal("CONT");
        eventually("it has taken a picture", async || (pending(redis).await > 0).then_some(())).await;
        thumbnailer.signal("STOP");
        // It may have ended that one meanwhile; and what it said last may be heard after our first question.
        (pending(redis).await > 0 && pending(redis).await > 0).then_some(())
    })
    .await;
}

/// One more thumbnailer; gives the address of its health.
async fn start_second(deployment: &mut Deployment) -> SocketAddr {
    let grpc = format!("127.0.0.1:{}", free_port());
    deployment.start_second("thumbnails", &[("cluster", "grpc_listen", &grpc)]).await
}

#[tokio::test]
async fn new_pictures_outlive_a_thumbnailer_that_is_killed_among_them() {
    let mut deployment = premade().start().await;
    let (first, second) = (deployment.health_addresses()[1], start_second(&mut deployment).await);
    // However fast they are, the first one has some left to do.
    for thumbnailer in [first, second] {
        deployment.process(thumbnailer).signal("STOP");
    }
    let ids = upload(&deployment, 40).await;
    let redis = deployment.redis.take().unwrap();

    go_on_until_at_work(deployment.process(first), &redis).await;
    deployment.process(first).kill();
    deployment.process(second).signal("CONT");
    all_made(&deployment, &ids).await;

    // The one that was killed may have made them without having said so.
    eventually("all are done", async || {
        (redis.tell("XLEN heliograph:queue:{thumbnails}").await == ":0\r\n").then_some(())
    })
    .await;
    let second = Client::plain(second, "");
    assert_eq!(second.count("heliograph_queue_taken_over_total", r#"queue="thumbnails""#).await, 1);
    let aside = deployment.alice().get("/_heliograph/admin/v1/queues/thumbnails/aside").await.json();
    assert_eq!(aside, json!({ "jobs": [], "total": 0 }));
}

#[tokio::test]
async fn two_thumbnailers_share_new_pictures_and_a_forgotten_queue_costs_only_what_was_in_it() {
    let mut deployment = premade().start().await;
    let first = deployment.health_addresses()[1];
    let second = start_second(&mut deployment).await;
    let both = [first, second];

    // However fast one is, there is something for both.
    for thumbnailer in both {
        deployment.process(thumbnailer).signal("STOP");
    }
    let shared = upload(&deployment, 20).await;
    for thumbnailer in both {
        deployment.process(thumbnailer).signal("CONT");
    }
    all_made(&deployment, &shared).await;
    let forgotten = upload(&deployment, 5).await;
    deployment.redis.as_ref().unwrap().flush().await;
    all_made(&deployment, &upload(&deployment, 20).await).await;

    for address in both {
        let client = Client::plain(address, "");
        assert!(client.count("heliograph_queue_jobs_total", r#"result="done""#).await > 0);
        assert_eq!(client.count("heliograph_queue_taken_over_total", r#"queue="thumbnails""#).await, 0);
    }
    let alice = deployment.alice();
    for id in forgotten {
        assert_eq!(size(&alice, &id, "width=32&height=32&method=crop").await, (32, 32), "made when somebody asks");
    }
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

    async fn what_was_set_aside_is_made_when_an_administrator_has_it_tried_again(shape: Shape) {
        let deployment = premade_in(shape).set("thumbnails", "premade_tries", 1).start().await;
        let alice = deployment.alice();
        let aside = "/_heliograph/admin/v1/queues/thumbnails/aside";
        // What is below a file cannot be read.
        let wall = deployment.folder().join("store/thumbs");
        std::fs::write(&wall, "").unwrap();
        let ids = upload(&deployment, 3).await;
        let jobs = eventually("all are set aside", async || {
            let told = alice.get(aside).await.json();
            (told["total"] == 3).then(|| told["jobs"].as_array().unwrap().clone())
        })
        .await;

        std::fs::remove_file(&wall).unwrap();
        let one = alice.post(&format!("{aside}/{}/retry", jobs[0]["id"].as_str().unwrap()), &json!({})).await.json();
        let all = alice.post(&format!("{aside}/retry"), &json!({})).await.json();

        assert_eq!([one, all], [json!({ "retried": 1, "total": 2 }), json!({ "retried": 2, "total": 0 })]);
        all_made(&deployment, &ids).await;
    }

    async fn after_a_power_cut_every_thumbnail_can_be_had(shape: Shape) {
        let mut deployment = premade_in(shape).start().await;
        let ids = upload(&deployment, 10).await;

        deployment.kill();
        deployment.start().await;

        // Of one picture some may have been stored before the cut, and others not.
        let alice = deployment.alice();
        for id in &ids {
            assert_eq!(size(&alice, id, "width=320&height=240").await, (320, 240));
            assert_eq!(size(&alice, id, "width=640&height=480").await, (640, 480));
            assert_eq!(size(&alice, id, "width=32&height=32&method=crop").await, (32, 32));
        }
        all_made(&deployment, &ids).await;
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
