//! Copies of remote media go when nobody reads them or there is no room, and come again.

use heliograph_tests::{Answer, Client, Deployment, Origin, Setup, Shape, both_shapes, eventually, free_port, jpeg};
use reqwest::Method;
use serde_json::Value;

/// A picture of some size.
fn picture() -> Vec<u8> {
    jpeg(200, 100)
}

/// An origin of pictures, and a deployment that looks after its copies all the time.
async fn start(shape: Shape, limits: &[(&str, toml::Value)]) -> (Deployment, Origin) {
    let origin = Origin::of_type(&picture(), "image/jpeg").await;
    origin.go_on(1000);
    let short = ["check_every", "write_reads_every"].map(|key| (key, "100ms".into()));
    let recent = ("keep_recent_for", "500ms".into());
    let mut setup = Setup::new(shape).trusts(&origin.peer.authority());
    for (key, value) in short.iter().chain([&recent]).chain(limits) {
        setup = setup.set("remote_copies", key, value.clone());
    }
    (setup.start().await, origin)
}

fn id(origin: &Origin, name: &str) -> String {
    format!("{}/{name}", origin.peer.name())
}

/// How often the origin was asked for a medium.
fn asked(origin: &Origin, name: &str) -> usize {
    let end = format!("/download/{name}");
    origin.requests().iter().filter(|request| request.path().ends_with(&end)).count()
}

/// What is known of a copy; `None` if there is none. Nobody reads it by that.
async fn info(deployment: &Deployment, id: &str) -> Option<Value> {
    let answer = deployment.alice().get(&format!("/_synapse/admin/v1/media/{id}")).await;
    (answer.status != 404).then(|| answer.json()["media_info"].clone())
}

async fn purge(admin: &Client, query: &str) -> Answer {
    Answer::of(admin.request(Method::POST, &format!("/_synapse/admin/v1/purge_media_cache{query}"))).await
}

/// A metric, summed over all processes.
async fn metric(deployment: &Deployment, name: &str) -> u64 {
    let mut sum = 0;
    for address in deployment.health_addresses() {
        let metrics = Client::plain(address, "").get("/metrics").await.ok();
        let lines = String::from_utf8_lossy(&metrics).into_owned();
        let values = lines.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
        sum += values.filter_map(|value| value.parse::<u64>().ok()).sum::<u64>();
    }
    sum
}

both_shapes! {
    async fn a_copy_that_nobody_reads_goes_and_is_fetched_again(shape: Shape) {
        let (deployment, origin) = start(shape, &[("unused_for", "8s".into())]).await;
        let bob = deployment.bob();
        let [unread, read, seen] = ["unread", "read", "seen"].map(|name| id(&origin, name));
        for id in [&unread, &read, &seen] {
            assert_eq!(bob.download(id).await.ok(), picture());
        }
        let thumbnail = |id: &str| format!("/_matrix/client/v1/media/thumbnail/{id}?width=32&height=32&method=crop");
        bob.get(&thumbnail(&unread)).await.ok();

        // One is downloaded all the time, of another only the thumbnail.
        eventually("the unread copy goes", async || {
            bob.download(&read).await.ok();
            bob.get(&thumbnail(&seen)).await.ok();
            info(&deployment, &unread).await.is_none().then_some(())
        })
        .await;

        for id in [&read, &seen] {
            let info = info(&deployment, id).await.unwrap();
            assert!(info["last_access_ts"].as_u64() > info["created_ts"].as_u64(), "{info}");
        }
        assert_eq!(bob.download(&unread).await.ok(), picture());
        bob.get(&thumbnail(&unread)).await.ok();
        assert_eq!(["unread", "read", "seen"].map(|name| asked(&origin, name)), [2, 1, 1]);
        eventually("both are counted", async || {
            let evicted = metric(&deployment, "heliograph_remote_copies_evicted_total{reason=\"idle\"}").await;
            let written = metric(&deployment, "heliograph_remote_reads_written_total").await;
            (evicted >= 1 && written > 0).then_some(())
        })
        .await;
    }

    async fn the_least_read_copies_go_until_the_rest_has_room(shape: Shape) {
        let size = picture().len() as u64;
        let (deployment, origin) = start(shape, &[("max_bytes", format!("{} B", 2 * size + size / 2).into())]).await;
        let bob = deployment.bob();
        let names = ["a", "b", "c", "d"];

        for name in names {
            bob.download(&id(&origin, name)).await.ok();
        }
        eventually("the two oldest go", async || {
            let gone = [info(&deployment, &id(&origin, "a")).await, info(&deployment, &id(&origin, "b")).await];
            gone.iter().all(Option::is_none).then_some(())
        })
        .await;

        for name in ["c", "d"] {
            bob.download(&id(&origin, name)).await.ok();
        }
        assert_eq!(names.map(|name| asked(&origin, name)), [1; 4]);
        eventually("the gauge says so", async || {
            let bytes = metric(&deployment, "heliograph_remote_copies_bytes").await;
            (bytes == 2 * size).then_some(())
        })
        .await;
        eventually("what has gone is counted", async || {
            let evicted = metric(&deployment, "heliograph_remote_copies_evicted_bytes_total").await;
            (evicted == 2 * size).then_some(())
        })
        .await;
    }

    async fn an_administrator_has_copies_removed(shape: Shape) {
        let (deployment, origin) = start(shape, &[]).await;
        let (admin, bob) = (deployment.alice(), deployment.bob());
        let ours = bob.upload("ours", "text/plain").await;
        for name in ["a", "held"] {
            bob.download(&id(&origin, name)).await.ok();
        }
        let quarantine = format!("/_synapse/admin/v1/media/quarantine/{}", id(&origin, "held"));
        admin.post(&quarantine, &serde_json::json!({})).await.ok();

        purge(&bob, "?before_ts=1700000000000").await.refused(403, "M_FORBIDDEN");
        purge(&admin, "").await.refused(400, "M_MISSING_PARAM");
        purge(&admin, "?before_ts=-1").await.refused(400, "M_INVALID_PARAM");
        purge(&admin, "?before_ts=1700000000").await.refused(400, "M_INVALID_PARAM");
        let before = eventually("everything is counted", async || {
            let answer = purge(&admin, "?before_ts=1700000000000").await;
            (answer.status == 200).then(|| answer.json())
        })
        .await;
        assert_eq!(before["deleted"], 0);
        // What was just read stays for a moment.
        eventually("the copy goes", async || {
            let deleted = purge(&admin, "?before_ts=99999999999999").await.json()["deleted"].as_u64().unwrap();
            (deleted == 1).then_some(())
        })
        .await;

        assert!(info(&deployment, &id(&origin, "a")).await.is_none());
        assert!(info(&deployment, &id(&origin, "held")).await.is_some());
        assert_eq!(bob.download(&ours).await.ok(), "ours");
        assert_eq!(bob.download(&id(&origin, "a")).await.ok(), picture());
        assert_eq!(asked(&origin, "a"), 2);
    }
}

/// Two of each: what one front reads the other's evictions know, and what one evicts the other's
/// readers fetch again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_evict_together() {
    let (mut deployment, origin) = start(Shape::Four, &[("unused_for", "8s".into())]).await;
    let calls = format!("127.0.0.1:{}", free_port());
    deployment.start_second("uploads", &[("cluster", "grpc_listen", &calls)]).await;
    let there = Client::plain(deployment.start_api().await, "bob-token");
    let here = deployment.bob();
    let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    for name in &names {
        here.download(&id(&origin, name)).await.ok();
    }

    eventually("all go but one", async || {
        there.download(&id(&origin, "0")).await.ok();
        let mut left = 0;
        for name in &names {
            left += usize::from(info(&deployment, &id(&origin, name)).await.is_some());
        }
        (left == 1).then_some(())
    })
    .await;

    // The last one counts when its bytes are gone too.
    eventually("each is counted once", async || {
        let evicted = metric(&deployment, "heliograph_remote_copies_evicted_total").await;
        (evicted == names.len() as u64 - 1).then_some(())
    })
    .await;
    for client in [&there, &here] {
        assert_eq!(client.download(&id(&origin, "0")).await.ok(), picture());
        assert_eq!(client.download(&id(&origin, "1")).await.ok(), picture());
    }
    assert_eq!(["0", "1", "2"].map(|name| asked(&origin, name)), [1, 2, 1]);
}
