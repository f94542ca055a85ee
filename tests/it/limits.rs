//! What is refused: too large, malformed, out of range. And that it is said, and early.

use heliograph_tests::{Answer, Deployment, Setup, Shape, Wire, both_shapes, noise};
use reqwest::Method;

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

async fn small_limit(shape: Shape) -> Deployment {
    Setup::new(shape).set("uploads", "max_bytes", "1 MiB").start().await
}

async fn assert_nothing_is_left(deployment: &Deployment) {
    heliograph_tests::eventually("nothing is left in the store", async || {
        ["records", "blobs"].iter().all(|prefix| deployment.stored(prefix).is_empty()).then_some(())
    })
    .await;
}

both_shapes! {
    async fn a_length_over_the_limit_is_refused_before_any_body(shape: Shape) {
        let deployment = small_limit(shape).await;
        let mut wire = Wire::connect(deployment.address()).await;

        // Not one byte of the body is ever sent, and yet there is an answer.
        wire.head(UPLOAD, "alice-token", "Content-Length: 1048577\r\n").await;
        let (status, body) = wire.answer().await;

        assert_eq!(status, 413);
        assert!(body.contains("M_TOO_LARGE"), "{body}");
        assert_nothing_is_left(&deployment).await;
    }

    async fn a_body_without_length_is_refused_at_the_limit(shape: Shape) {
        let deployment = small_limit(shape).await;
        let mut wire = Wire::connect(deployment.address()).await;
        let piece = [b"20000\r\n".as_slice(), &noise(0x2_0000, 1), b"\r\n"].concat();

        wire.head(UPLOAD, "alice-token", "Transfer-Encoding: chunked\r\n").await;
        // A whole limit and one piece more, and no end of the body.
        for _ in 0..9 {
            wire.send(&piece).await;
        }
        let (status, body) = wire.answer().await;

        assert_eq!(status, 413);
        assert!(body.contains("M_TOO_LARGE"), "{body}");
        assert_nothing_is_left(&deployment).await;
    }

    async fn exactly_the_limit_is_not_over_it(shape: Shape) {
        let deployment = small_limit(shape).await;

        deployment.alice().upload(noise(1 << 20, 2), "text/plain").await;
    }

    async fn malformed_ids_are_not_found(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let ids = [
            "media.test/nobody",
            "media.test/a.b",
            "media.test/a%2Fb",
            "media.test/%2e%2e%2f%2e%2e%2fetc",
            "media.test/a%00b",
            "media.test/%F0%9F%93%B7",
            "under_score.test/abc",
            "media.test:99999/abc",
        ];
        let long = format!("media.test/{}", "a".repeat(256));

        for id in ids.into_iter().chain([long.as_str()]) {
            assert_eq!(alice.download(id).await.error(), (404, "M_NOT_FOUND".to_owned()), "{id}");
            let thumbnail = alice.thumbnail(id, "width=9&height=9").await;
            assert_eq!(thumbnail.error(), (404, "M_NOT_FOUND".to_owned()), "{id}");
        }
    }

    async fn nobody_climbs_out_of_a_folder(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        // Written by hand: well-behaved clients resolve the dots themselves.
        for id in ["%2e%2e/abc", "../abc", "..%2f..%2fdata/signing.key", "media.test/..", "media.test/%2e%2e"] {
            let mut wire = Wire::connect(deployment.address()).await;
            wire.head(&format!("GET /_matrix/client/v1/media/download/{id}"), "alice-token", "").await;
            let (status, body) = wire.answer().await;

            assert_eq!(status, 404, "{id}: {body}");
        }
    }

    async fn bad_parameters_are_told(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let id = alice.upload("x", "text/plain").await;
        let (missing, invalid) = ((400, "M_MISSING_PARAM".to_owned()), (400, "M_INVALID_PARAM".to_owned()));

        for query in ["", "width=1", "height=1"] {
            assert_eq!(alice.thumbnail(&id, query).await.error(), missing, "{query}");
        }
        for query in [
            "width=0&height=1",
            "width=-1&height=1",
            "width=1.5&height=1",
            "width=1e3&height=1",
            "width=&height=1",
            "width=99999999999999999999&height=1",
            "width=1&height=1&method=stretch",
            "width=1&height=1&animated=yes",
            "width=1&height=1&timeout_ms=soon",
        ] {
            assert_eq!(alice.thumbnail(&id, query).await.error(), invalid, "{query}");
        }
        assert_eq!(alice.download(&format!("{id}?timeout_ms=x")).await.error(), invalid);
    }

    async fn unknown_paths_and_methods_are_unrecognized(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();

        for path in ["/_matrix/media/unknown", "/_matrix/media/v3/unknown", "/_matrix/client/v1/media/unknown"] {
            assert_eq!(alice.get(path).await.error(), (404, "M_UNRECOGNIZED".to_owned()), "{path}");
        }
        let patched = Answer::of(alice.request(Method::PATCH, "/_matrix/media/v3/upload")).await;
        assert_eq!(patched.error(), (405, "M_UNRECOGNIZED".to_owned()));
        assert!(patched.header("allow").contains("POST"), "{patched:?}");
        let preflight = Answer::of(alice.without_token().request(Method::OPTIONS, "/_matrix/media/v3/upload")).await;
        assert!(preflight.status.is_success(), "{preflight:?}");
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
    }
}
