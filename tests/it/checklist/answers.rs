//! What every answer has, whatever it says.

use heliograph_tests::{Answer, Setup, Shape, both_shapes, free_port, jpeg};
use reqwest::Method;
use serde_json::json;

#[track_caller]
fn assert_readable(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let origins: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
    assert_eq!(origins, ["*"], "{status}");
    assert!(answer.header("access-control-allow-methods").contains("HEAD"), "{status}");
    assert!(answer.header("access-control-allow-headers").contains("Authorization"), "{status}");
    assert!(answer.header("access-control-expose-headers").contains("Retry-After"), "{status}");
    if status >= 400 {
        assert_eq!(answer.header("content-type"), "application/json", "{status}");
        assert_eq!(answer.header("cache-control"), "no-store", "{status}");
        answer.error();
    }
}

both_shapes! {
    /// CORS on success and on every kind of error; errors are JSON that nobody keeps.
    async fn web_pages_may_read_every_answer(shape: Shape) {
        let deployment = Setup::new(shape)
            .set("uploads", "max_bytes", "1 MiB")
            .set("limits", "user_creates", "2/1h")
            .start()
            .await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = alice.upload(jpeg(400, 300), "image/jpeg").await;
        let path = format!("/_matrix/client/v1/media/download/{id}");
        let pending = bob.create().await;
        let nowhere = format!("/_matrix/client/v1/media/download/127.0.0.9:{}/abc", free_port());

        assert_readable(&alice.get(&path).await, 200);
        assert_readable(&alice.get_with(&path, [("range", "bytes=0-1")]).await, 206);
        assert_readable(&alice.get_with(&path, [("if-none-match", "*")]).await, 304);
        assert_readable(&alice.thumbnail(&id, "width=0&height=1").await, 400);
        assert_readable(&deployment.stranger().get(&path).await, 401);
        assert_readable(&alice.put(&pending, "x").await, 403);
        assert_readable(&alice.download("media.test/nobody").await, 404);
        assert_readable(&alice.get("/_matrix/media/unknown").await, 404);
        assert_readable(&alice.ask(Method::PATCH, &path).await, 405);
        assert_readable(&alice.put(&id, "x").await, 409);
        assert_readable(&alice.try_upload(vec![0; 1 << 21], "x/y").await, 413);
        assert_readable(&alice.get_with(&path, [("range", "bytes=9999999-")]).await, 416);
        assert_readable(&alice.download(&format!("{pending}?timeout_ms=0")).await, 504);
        assert_readable(&alice.get(&nowhere).await, 502);
        bob.create().await;
        assert_readable(&bob.try_create().await, 429);
    }

    /// Content is never run: policy, no sniffing; other sites may embed it; who keeps it.
    async fn content_comes_with_the_headers_that_make_it_harmless(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload(jpeg(400, 300), "image/jpeg").await;
        let thumbnail = format!("thumbnail/{id}?width=96&height=96&method=crop");

        for (tree, kept, vary) in [
            ("/_matrix/client/v1/media", "private, max-age=86400, immutable", "Authorization"),
            ("/_matrix/media/v3", "public, max-age=86400, s-maxage=0, proxy-revalidate", ""),
        ] {
            for path in [format!("{tree}/download/{id}"), format!("{tree}/{thumbnail}")] {
                let answer = deployment.alice().get(&path).await;
                let policy = answer.header("content-security-policy");
                for directive in ["sandbox", "default-src 'none'", "script-src 'none'", "plugin-types application/pdf",
                    "style-src 'unsafe-inline'", "object-src 'self'"] {
                    assert!(policy.split(';').any(|sent| sent.trim() == directive), "{directive}: {policy}");
                }
                assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
                assert_eq!(answer.header("x-content-type-options"), "nosniff");
                assert_eq!((answer.header("cache-control"), answer.header("vary")), (kept, vary), "{path}");
                assert_eq!(answer.header("content-encoding"), "");
                assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            }
        }
        let config = deployment.alice().get("/_matrix/client/v1/media/config").await;
        assert_eq!(config.header("cache-control"), "private, no-store");
    }

    /// Strong tags from the content, the same by every path, other for other content.
    async fn a_tag_tells_content_apart_and_nothing_else(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let same = [alice.upload(jpeg(400, 300), "image/jpeg").await, alice.upload(jpeg(400, 300), "image/png").await];
        let other = alice.upload(jpeg(401, 300), "image/jpeg").await;
        let tag = async |path: String| alice.get(&path).await.header("etag").to_owned();

        let first = tag(format!("/_matrix/client/v1/media/download/{}", same[0])).await;
        assert!(first.starts_with('"') && first.ends_with('"') && first.len() > 20, "{first}");
        for path in ["/_matrix/media/v3/download", "/_matrix/client/r0/media/download", "/_matrix/media/r0/download"] {
            assert_eq!(tag(format!("{path}/{}", same[1])).await, first);
            assert_ne!(tag(format!("{path}/{other}")).await, first);
        }
        let of_thumbnail = async |query: &str| {
            tag(format!("/_matrix/client/v1/media/thumbnail/{}?{query}", same[0])).await
        };
        let small = of_thumbnail("width=32&height=32&method=crop").await;
        assert_ne!(small, of_thumbnail("width=96&height=96&method=crop").await);
        assert_eq!(small, of_thumbnail("width=32&height=32&method=crop").await);
    }

    /// The first of a repeated parameter wins; unknown ones are ignored; values are strict.
    async fn parameters_are_read_as_the_reference_says(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let id = alice.upload(jpeg(400, 300), "image/jpeg").await;
        let size = async |query: &str| heliograph_tests::jpeg_size(&alice.thumbnail(&id, query).await.ok());

        assert_eq!(size("width=32&height=32&method=crop&width=96").await, Some((32, 32)));
        assert_eq!(size("width=%2B32&height=032&method=crop&colour=red&allow_remote=nonsense").await, Some((32, 32)));
        for legacy in ["allow_remote=1", "timeout_ms=-1", "timeout_ms=", "fi.mau.msc2246.max_stall_ms=x"] {
            alice.get(&format!("/_matrix/media/v3/download/{id}?{legacy}")).await.refused(400, "M_INVALID_PARAM");
        }
        let local = format!("/_matrix/media/v3/download/{id}?allow_remote=false");
        assert_eq!(deployment.stranger().get(&local).await.status, 200);
        let remote = "/_matrix/media/v3/download/other.test/abc?allow_remote=false";
        deployment.stranger().get(remote).await.refused(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn an_error_of_the_homeserver_is_readable_too() {
    let deployment = Setup::new(Shape::One).start().await;
    let said = json!({"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true});
    deployment.homeserver.feels(heliograph_tests::Mood::Says(401, said));

    assert_readable(&deployment.alice().get("/_matrix/client/v1/media/config").await, 401);
}
