//! Content that is not there yet: who waits, for how long, and who wakes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use heliograph_tests::{Client, Peer, Server, Setup, Shape, Wire, answer_json, both_shapes, jpeg};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

both_shapes! {
    /// `timeout_ms=0` does not wait, under each of its names; what is nonsense is told.
    async fn who_does_not_want_to_wait_does_not(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = deployment.alice().create().await;
        let media_id = id.split_once('/').unwrap().1;
        let began = Instant::now();

        for path in [
            format!("/_matrix/client/v1/media/download/{id}?timeout_ms=0"),
            format!("/_matrix/client/v1/media/thumbnail/{id}?width=9&height=9&timeout_ms=0"),
            format!("/_matrix/media/v3/download/{id}?timeout_ms=0"),
            format!("/_matrix/media/v3/download/{id}?fi.mau.msc2246.timeout_ms=0"),
            format!("/_matrix/media/r0/thumbnail/{id}?width=9&height=9&fi.mau.msc2246.max_stall_ms=0"),
            format!("/_matrix/media/v3/download/{id}?fi.mau.msc2246.timeout_ms=9000&timeout_ms=0"),
        ] {
            deployment.bob().get(&path).await.refused(504, "M_NOT_YET_UPLOADED");
        }
        for path in [
            format!("/_matrix/federation/v1/media/download/{media_id}?timeout_ms=0"),
            format!("/_matrix/federation/v1/media/thumbnail/{media_id}?timeout_ms=0&width=9&height=9"),
        ] {
            peer.get(&deployment, &path).await.refused(504, "M_NOT_YET_UPLOADED");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "somebody waited");
        for nonsense in ["-1", "x", "", "1.5", "99999999999999999999"] {
            let path = format!("{id}?timeout_ms={nonsense}");
            deployment.bob().download(&path).await.refused(400, "M_INVALID_PARAM");
        }
    }

    /// Above the cap nobody waits longer than the cap.
    async fn nobody_waits_longer_than_the_operator_allows(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "max_wait", "1s").start().await;
        let id = deployment.alice().create().await;
        let began = Instant::now();

        deployment.bob().download(&format!("{id}?timeout_ms=600000")).await.refused(504, "M_NOT_YET_UPLOADED");

        let waited = began.elapsed();
        assert!((900..5000).contains(&waited.as_millis()), "{waited:?}");
    }

    /// An id that expires while somebody waits is not found at that moment.
    async fn who_waits_learns_that_the_id_has_expired(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "unused_lifetime", "2s").start().await;
        let id = deployment.alice().create().await;
        let began = Instant::now();

        deployment.bob().download(&format!("{id}?timeout_ms=30000")).await.refused(404, "M_NOT_FOUND");

        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(5), "{waited:?}");
    }

    /// Thumbnails and other servers wait as well.
    async fn thumbnails_and_other_servers_are_woken_too(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = alice.create().await;
        let signed = format!("/_matrix/federation/v1/media/download/{}?timeout_ms=30000", id.split_once('/').unwrap().1);

        let fill = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let request = alice.request(Method::PUT, &format!("/_matrix/media/v3/upload/{id}"));
            request.header("content-type", "image/jpeg").body(jpeg(400, 300)).send().await.unwrap().status()
        };
        let thumbnail = bob.thumbnail(&id, "width=96&height=96&method=crop&timeout_ms=30000");
        let (thumbnail, signed, filled) = tokio::join!(thumbnail, peer.get(&deployment, &signed), fill);

        assert_eq!((filled.as_u16(), thumbnail.status.as_u16(), signed.status.as_u16()), (200, 200, 200));
    }

    /// There is room for so many who wait, and who leaves gives its place back.
    async fn who_leaves_does_not_wait_any_more(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "max_waiting", 1).start().await;
        let id = deployment.alice().create().await;
        let mut waiter = Wire::connect(deployment.address()).await;
        waiter.head(&format!("GET /_matrix/client/v1/media/download/{id}?timeout_ms=50000"), "bob-token", "").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();

        deployment.bob().download(&format!("{id}?timeout_ms=20000")).await.refused(504, "M_NOT_YET_UPLOADED");
        assert!(began.elapsed() < Duration::from_secs(5), "there was room for a second");
        drop(waiter);
        heliograph_tests::eventually("there is room again", async || {
            let began = Instant::now();
            deployment.bob().download(&format!("{id}?timeout_ms=300")).await.refused(504, "M_NOT_YET_UPLOADED");
            (began.elapsed() >= Duration::from_millis(300)).then_some(())
        })
        .await;
    }

    /// That another server does not have it yet is not remembered.
    async fn what_is_pending_elsewhere_is_asked_for_again(shape: Shape) {
        let is_there = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&is_there);
        let server = Server::start(move |request, mut stream| {
            let is_there = there.load(Ordering::SeqCst);
            async move {
                assert!(request.target().contains("timeout_ms="), "{request:?}");
                if !is_there {
                    return answer_json(stream, 504, "", r#"{"errcode": "M_NOT_YET_UPLOADED", "error": "wait"}"#).await;
                }
                let body = "\r\n--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        let peer = Peer::with_media(server.address()).await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = format!("{}/abc?timeout_ms=100", peer.name());

        for _ in 0..3 {
            deployment.bob().download(&id).await.refused(504, "M_NOT_YET_UPLOADED");
        }
        is_there.store(true, Ordering::SeqCst);

        assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
    }
}

/// Who waits at one instance is woken by an upload at the other, within about a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_one_instance_is_woken_by_an_upload_at_the_other() {
    let mut deployment = Setup::new(Shape::Four).start().await;
    let (here, there) = (deployment.bob(), Client::plain(deployment.start_api().await, "alice-token"));
    let id = there.create().await;

    let patient = format!("{id}?timeout_ms=50000");
    let fill = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        there.put(&id, "hello").await.ok();
        Instant::now()
    };
    let wait = async { (here.download(&patient).await, Instant::now()) };
    let ((waited, woken_at), filled_at) = tokio::join!(wait, fill);

    assert_eq!(waited.ok(), "hello");
    let late = woken_at.saturating_duration_since(filled_at);
    assert!(late < Duration::from_secs(2), "woken only after {late:?}");
}
