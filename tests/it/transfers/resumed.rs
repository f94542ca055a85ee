//! What breaks off goes on, if it is the same; what drips is given up.

use heliograph_tests::{Deployment, Request, Setup, Shape, both_shapes, eventually, noise};

use super::{Answered, Elsewhere, answer, count, location, multipart};

const LENGTH: usize = 3_000_000;
/// Where it breaks off.
const BROKEN_AT: usize = 1_234_567;

/// Where a request wants to go on.
fn begin_of(request: &Request) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// A server that says that its file is at a network of its own, which breaks off once, and may
/// have another file by then.
async fn start(tag_later: &'static str) -> Elsewhere {
    let file = noise(LENGTH, 1);
    Elsewhere::start(move |request| {
        if request.path().starts_with("/_matrix/federation/") {
            let name = request.header("host").unwrap();
            return Answered::Sends(location(&format!("https://{name}/_matrix/media/network/file?signature=x")));
        }
        let headers = |tag: &str| format!("Content-Type: video/mp4\r\nETag: \"{tag}\"\r\nAccept-Ranges: bytes\r\n");
        let Some(begin) = begin_of(request) else {
            return Answered::Sends(answer("200 OK", &headers("one"), LENGTH, &file[..BROKEN_AT]));
        };
        // As a network does: the condition does not hold, so all of what is there now.
        if request.header("if-range") != Some(&format!("\"{tag_later}\"")) {
            return Answered::Sends(answer("200 OK", &headers(tag_later), LENGTH, &file));
        }
        let headers = format!("{}Content-Range: bytes {begin}-{}/{LENGTH}\r\n", headers(tag_later), LENGTH - 1);
        Answered::Sends(answer("206 Partial Content", &headers, LENGTH - begin, &file[begin..]))
    })
    .await
}

/// Reads a download until it ends, and tells whether that was a clean end.
async fn read(deployment: &Deployment, id: &str) -> (Vec<u8>, bool) {
    let path = format!("/_matrix/client/v1/media/download/{id}");
    let mut answer = deployment.alice().request(reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut got = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            end => return (got, end.is_ok()),
        }
    }
}

async fn nothing_is_kept(deployment: &Deployment) {
    eventually("nothing is kept", async || {
        ["records", "blobs"].iter().all(|prefix| deployment.stored(prefix).is_empty()).then_some(())
    })
    .await;
}

both_shapes! {
    async fn what_breaks_off_at_a_network_goes_on_and_is_whole(shape: Shape) {
        let elsewhere = start("one").await;
        let here = Setup::new(shape).trusts(&elsewhere.peer.authority()).start().await;
        let file = noise(LENGTH, 1);

        let (got, is_clean) = read(&here, &elsewhere.id("m1")).await;
        eventually("the copy is kept", async || (here.stored("records").len() == 1).then_some(())).await;
        let copy = here.bob().download(&elsewhere.id("m1")).await;

        assert!(is_clean && got == file, "the client got {} bytes", got.len());
        assert!(copy.ok() == file, "the copy differs");
        let asked = elsewhere.asked("/network/");
        assert_eq!(asked.iter().map(begin_of).collect::<Vec<_>>(), [None, Some(BROKEN_AT)]);
        assert!(asked.iter().all(|request| request.header("authorization").is_none()));
        assert_eq!(count(&here, "heliograph_federation_resumptions_total", "result=\"range\"").await, 1);
    }

    async fn what_has_changed_meanwhile_is_no_rest_of_it(shape: Shape) {
        let elsewhere = start("two").await;
        let here = Setup::new(shape).trusts(&elsewhere.peer.authority()).start().await;

        let (got, is_clean) = read(&here, &elsewhere.id("m1")).await;

        assert!(!is_clean, "the client was told that it has the whole file");
        assert!(noise(LENGTH, 1).starts_with(&got), "something else was put behind it");
        nothing_is_kept(&here).await;
        assert_eq!(elsewhere.asked("/network/").len(), 2);
        assert_eq!(count(&here, "heliograph_federation_resumptions_total", "result=\"failed\"").await, 1);
    }

    async fn a_server_that_drips_is_given_up(shape: Shape) {
        let file = noise(LENGTH, 1);
        let elsewhere = Elsewhere::start(move |_| Answered::Drips(multipart("video/mp4", &file, Some(1000)))).await;
        let here = Setup::new(shape)
            .trusts(&elsewhere.peer.authority())
            .set("federation", "slowest_rate", "10KiB")
            .set("federation", "rate_window", "1s")
            .start()
            .await;

        let (got, is_clean) = read(&here, &elsewhere.id("m1")).await;

        assert!(!is_clean && got.len() < LENGTH, "the client was told that it has the whole file");
        nothing_is_kept(&here).await;
        assert_eq!(count(&here, "heliograph_federation_gave_up_total", "phase=\"rate\"").await, 1);
        assert_eq!(elsewhere.asked("/").len(), 1);
    }

    async fn a_server_whose_content_does_not_begin_is_given_up(shape: Shape) {
        let elsewhere = Elsewhere::start(|_| {
            // Not even the heads of the parts are whole.
            Answered::Stands(multipart("video/mp4", b"never", None)[..150].to_vec())
        })
        .await;
        let here =
            Setup::new(shape).trusts(&elsewhere.peer.authority()).set("federation", "head_timeout", "1s").start().await;

        let answer = here.alice().download(&format!("{}?timeout_ms=0", elsewhere.id("m1"))).await;

        answer.refused(502, "M_UNKNOWN");
        assert_eq!(count(&here, "heliograph_federation_gave_up_total", "phase=\"parts\"").await, 1);
    }
}
