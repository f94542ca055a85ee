//! Uploads: how long they are, and what they say they are.

use heliograph_tests::{Answer, Deployment, Setup, Shape, Wire, both_shapes, eventually, noise};
use reqwest::Method;

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

async fn small_limit(shape: Shape) -> Deployment {
    Setup::new(shape).set("uploads", "max_bytes", "1 MiB").start().await
}

async fn assert_nothing_is_left(deployment: &Deployment) {
    eventually("nothing is left in the store", async || {
        ["records", "blobs"].iter().all(|prefix| deployment.stored(prefix).is_empty()).then_some(())
    })
    .await;
}

/// Uploads with a `Content-Type` that is written as it is, and downloads it.
async fn echo(deployment: &Deployment, content_type: &[u8]) -> Answer {
    let mut wire = Wire::connect(deployment.address()).await;
    let head =
        format!("{UPLOAD} HTTP/1.1\r\nHost: media.test\r\nAuthorization: Bearer alice-token\r\nContent-Length: 5\r\n");
    wire.send(&[head.as_bytes(), content_type, b"\r\nhello"].concat()).await;
    let (status, body) = wire.answer().await;
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let answer =
        deployment.bob().download(answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap()).await;
    assert_eq!(answer.body, "hello");
    answer
}

async fn echo_of(deployment: &Deployment, kind: &str) -> Answer {
    echo(deployment, format!("Content-Type: {kind}\r\n").as_bytes()).await
}

fn word(answer: &Answer) -> &str {
    answer.header("content-disposition").split(';').next().unwrap()
}

both_shapes! {
    /// No length at all is an empty body; a body in chunks has no length either.
    async fn an_upload_needs_no_length(shape: Shape) {
        let deployment = small_limit(shape).await;
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(UPLOAD, "alice-token", "").await;
        let (status, body) = wire.answer().await;
        assert_eq!(status, 200, "{body}");

        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(UPLOAD, "alice-token", "Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n").await;
        for piece in [b"5;ext=1\r\nhello\r\n".as_slice(), b"1\r\n!\r\n", b"0\r\n\r\n"] {
            wire.send(piece).await;
        }
        let (status, body) = wire.answer().await;
        assert_eq!(status, 200, "{body}");
        let id: serde_json::Value = serde_json::from_str(&body).unwrap();
        let id = id["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap();
        assert_eq!(deployment.bob().download(id).await.ok(), "hello!");
    }

    /// The limit itself with and without length; one byte more is over it, for created ids too.
    async fn the_limit_is_exact(shape: Shape) {
        let deployment = small_limit(shape).await;
        let alice = deployment.alice();
        let limit = 1 << 20;
        let streamed = |length: usize| {
            let pieces: Vec<_> = noise(length, 1).chunks(70_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
        };
        let id = alice.create().await;

        for refused in [
            alice.try_upload(noise(limit + 1, 1), "text/plain").await,
            alice.try_upload(streamed(limit + 1), "text/plain").await,
            alice.put(&id, noise(limit + 1, 1)).await,
            alice.put(&id, streamed(limit + 1)).await,
        ] {
            refused.refused(413, "M_TOO_LARGE");
        }
        assert_nothing_is_left(&deployment).await;
        for fits in [
            alice.try_upload(noise(limit, 1), "text/plain").await,
            alice.try_upload(streamed(limit), "text/plain").await,
            alice.put(&id, streamed(limit)).await,
        ] {
            fits.ok();
        }
    }

    /// A huge length is answered before the body.
    async fn a_huge_length_is_answered_before_the_body(shape: Shape) {
        let deployment = small_limit(shape).await;

        for length in ["1048577", "10000000000"] {
            let mut wire = Wire::connect(deployment.address()).await;
            wire.head(UPLOAD, "alice-token", &format!("Content-Length: {length}\r\n")).await;
            let (status, body) = wire.answer().await;
            assert_eq!(status, 413, "{length}: {body}");
            assert!(body.contains("M_TOO_LARGE"), "{body}");
        }
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(UPLOAD, "alice-token", "Content-Length: 99999999999999999999999\r\n").await;
        assert_eq!(wire.answer_status().await, 400);
        assert_nothing_is_left(&deployment).await;
    }

    /// Who asks whether to send is told to, if there is nothing against it.
    async fn who_waits_for_leave_to_send_gets_it(shape: Shape) {
        let deployment = small_limit(shape).await;
        let mut wire = Wire::connect(deployment.address()).await;

        wire.head(UPLOAD, "alice-token", "Content-Length: 5\r\nExpect: 100-continue\r\n").await;
        let leave = wire.read_until(|got| got.ends_with(b"\r\n\r\n")).await;
        assert!(leave.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&leave));
        wire.send(b"hello").await;
        assert_eq!(wire.answer().await.0, 200);
    }

    /// Broken off, or not in chunks although it says so: no id, no byte.
    async fn what_breaks_off_is_no_upload(shape: Shape) {
        let deployment = small_limit(shape).await;
        for (headers, body) in [
            ("Content-Length: 1000\r\n", b"half".as_slice()),
            ("Transfer-Encoding: chunked\r\n", b"400\r\nhalf"),
            ("Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n"),
            ("Transfer-Encoding: chunked\r\n", b"no number\r\nhalf\r\n0\r\n\r\n"),
        ] {
            let mut wire = Wire::connect(deployment.address()).await;
            wire.head(UPLOAD, "alice-token", headers).await;
            wire.send(body).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            drop(wire);
        }
        assert_nothing_is_left(&deployment).await;
    }

    /// A body that stands still is given up, and the client told.
    async fn what_stands_still_is_given_up(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "body_timeout", "1s").start().await;
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(UPLOAD, "alice-token", "Content-Length: 1000\r\n").await;
        wire.send(b"half").await;

        let (status, body) = wire.answer().await;

        assert_eq!(status, 408, "{body}");
        assert!(body.contains("M_UNKNOWN"), "{body}");
        assert_nothing_is_left(&deployment).await;
    }

    /// Forms are nothing special: the bytes are stored as they come, and only `filename` names.
    async fn a_form_is_stored_as_it_comes(shape: Shape) {
        let deployment = small_limit(shape).await;
        let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.png\"\r\n\r\nhello\r\n--b--\r\n";
        let kind = "multipart/form-data; boundary=b";
        let request = deployment.alice().request(Method::POST, "/_matrix/media/v3/upload").header("content-type", kind);
        let request = request.header("content-disposition", "attachment; filename=y.png").body(form);
        let id = Answer::of(request).await.json()["content_uri"].as_str().unwrap().replace("mxc://", "");

        let answer = deployment.bob().download(&id).await;

        assert_eq!((answer.header("content-type"), answer.header("content-disposition")), (kind, "attachment"));
        assert_eq!(answer.body, form);
    }

    /// Each of the harmless types is shown, in any case, with any parameters.
    async fn harmless_types_are_shown_inline(shape: Shape) {
        let deployment = small_limit(shape).await;
        for kind in ["text/css", "text/plain", "text/csv", "application/json", "application/ld+json", "image/jpeg",
            "image/gif", "image/png", "image/apng", "image/webp", "image/avif", "video/mp4", "video/webm", "video/ogg",
            "video/quicktime", "audio/mp4", "audio/webm", "audio/aac", "audio/mpeg", "audio/ogg", "audio/wave",
            "audio/wav", "audio/x-wav", "audio/x-pn-wav", "audio/flac", "audio/x-flac"] {
            for kind in [kind.to_owned(), kind.to_uppercase(), format!("{kind}; charset=utf-8"), format!("{kind};a=\"b;c\"")] {
                let answer = echo_of(&deployment, &kind).await;
                assert_eq!((answer.header("content-type"), word(&answer)), (kind.as_str(), "inline"));
            }
        }
    }

    /// All others are saved: also those that only look harmless.
    async fn other_types_are_attachments(shape: Shape) {
        let deployment = small_limit(shape).await;
        for kind in ["text/html", "image/svg+xml", "application/pdf", "text/javascript", "application/xml", "text/xml",
            "application/octet-stream", "img/png", "image/png+xml", "x-a/y.z", "text/plain-x", "a/b; image/png"] {
            let answer = echo_of(&deployment, kind).await;
            assert_eq!(word(&answer), "attachment", "{kind}");
        }
        for kind in ["text/html", "img/png", "x-a/y.z", "Text/HTML; Charset=\"x y\""] {
            assert_eq!(echo_of(&deployment, kind).await.header("content-type"), kind);
        }
    }

    /// What is no media type is bytes of which nothing is known; so is what says nothing.
    async fn what_is_no_type_is_octet_stream(shape: Shape) {
        let deployment = small_limit(shape).await;
        for line in [b"".as_slice(), b"Content-Type:\r\n", b"Content-Type: nonsense\r\n", b"Content-Type: /\r\n", b"Content-Type: a/\r\n",
            b"Content-Type: /b\r\n", b"Content-Type: a/b/c\r\n", b"Content-Type: image png\r\n", b"Content-Type: image/p ng\r\n",
            b"Content-Type: text/html;image/png\r\n", b"Content-Type: a/b;c=\r\n", b"Content-Type: a/b;c=\"d\r\n",
            b"Content-Type: image/\xc3\xa4\r\n", b"Content-Type: image/\xff\r\n", b"Content-Type: image/png, text/html\r\n"] {
            let answer = echo(&deployment, line).await;
            let line = String::from_utf8_lossy(line);
            assert_eq!((answer.header("content-type"), word(&answer)), ("application/octet-stream", "attachment"), "{line}");
        }
    }

    /// The operator may have everything saved.
    async fn everything_can_be_made_an_attachment(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "always_attachment", true).start().await;

        let answer = echo_of(&deployment, "image/png").await;

        assert_eq!((answer.header("content-type"), word(&answer)), ("image/png", "attachment"));
    }
}
