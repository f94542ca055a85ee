//! URLs of our own.

use std::{fs, process::Command};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use heliograph_tests::{Answer, Peer, Shape, both_shapes, jpeg, jpeg_size, noise};
use reqwest::{Method, Url};

use super::{SECRET, assert_cors, follow, location, start_at_itself, target, to_self};

/// Signs as we do, by other means.
fn sign(path: &str, expires: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, format!("{path}?expires={expires}")).unwrap();
    let hmac =
        Command::new("openssl").args(["dgst", "-sha256", "-hmac", SECRET, "-binary"]).arg(text).output().unwrap();
    format!("{path}?expires={expires}&signature={}", URL_SAFE_NO_PAD.encode(hmac.stdout))
}

fn same(answer: &Answer, other: &Answer) {
    for name in ["content-type", "content-disposition", "content-length", "content-range", "etag", "accept-ranges"] {
        assert_eq!(answer.header(name), other.header(name), "{name}");
    }
    assert_eq!((answer.status, &answer.body), (other.status, &other.body));
}

both_shapes! {
    async fn a_url_of_our_own_serves_as_a_download_does(shape: Shape) {
        let deployment = start_at_itself(to_self(shape)).await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let file = noise(70_000, 1);
        for (name, kind, disposition) in [
            ("report-2.pdf", "application/pdf", "attachment; filename=report-2.pdf"),
            ("my%20report;%20v2.png", "image/png", "inline; filename=\"my report; v2.png\""),
            ("sp%C3%A4%C5%A5%2050%25.png", "Image/PNG; x=\"y\"", "inline; filename*=utf-8''sp%C3%A4%C5%A5%2050%25.png"),
        ] {
            let id = alice.upload_named(file.clone(), kind, name).await;
            let other = alice.upload(file.clone(), kind).await;
            // Its own name, and one that the path gives it.
            for path in [id.clone(), format!("{other}/{name}")] {
                let url = location(&bob.download(&path).await);
                let answer = follow(&url).await;

                assert_eq!(answer.header("content-disposition"), disposition);
                assert_eq!(answer.header("content-type"), kind);
                assert_cors(&answer);
                same(&answer, &bob.download(&format!("{path}?allow_redirect=false")).await);
                let life = answer.header("cache-control").strip_prefix("public, max-age=").unwrap();
                assert!((200..=600).contains(&life.parse::<u64>().unwrap()), "{life}");
            }
        }
        let id = alice.upload(file, "text/plain").await;
        let url = target(&location(&bob.download(&id).await));
        let (path, stranger) = (format!("{id}?allow_redirect=false"), deployment.stranger());
        for (name, value) in [("range", "bytes=5-9"), ("range", "bytes=70000-"), ("range", "bytes=0-1,5-6"), ("accept", "*/*")] {
            let there = stranger.get_with(&url, [(name, value)]).await;
            let here = bob.get_with(&format!("/_matrix/client/v1/media/download/{path}"), [(name, value)]).await;
            assert_eq!((there.status, there.body.len()), (here.status, here.body.len()), "{value}");
            assert_eq!(there.header("content-range"), here.header("content-range"), "{value}");
        }
        let whole = stranger.get(&url).await;
        let head = stranger.ask(Method::HEAD, &url).await;
        assert_eq!((head.header("content-length"), head.header("etag")), ("70000", whole.header("etag")));
        assert_eq!(stranger.get_with(&url, [("if-none-match", whole.header("etag"))]).await.status, 304);
        // Some send their token everywhere. It is neither needed nor looked at.
        for authorization in ["Bearer nobody-token", "X-Matrix origin=a", "nonsense", "Basic YTpi"] {
            stranger.get_with(&url, [("authorization", authorization)]).await.ok();
        }
    }

    async fn thumbnails_are_behind_urls_too_if_they_are_to_be(shape: Shape) {
        let peer = Peer::start().await;
        let setup = to_self(shape).set("redirects", "thumbnails", true).set("redirects", "min_bytes", 0);
        let setup = setup.set("redirects", "lifetime", "7days");
        let deployment = start_at_itself(setup.trusts(&peer.authority())).await;
        let id = deployment.alice().upload(jpeg(400, 300), "image/jpeg").await;
        for (query, size) in [
            ("width=96&height=96&method=crop", (96, 96)),
            ("width=300&height=200&animated=true", (267, 200)),
            ("width=33&height=77&method=crop", (33, 77)),
        ] {
            let url = location(&deployment.bob().thumbnail(&id, query).await);
            let there = follow(&url).await;

            assert_cors(&there);
            assert_eq!(there.header("content-disposition"), "inline; filename=thumbnail.jpg");
            let here = deployment.bob().thumbnail(&id, &format!("{query}&allow_redirect=false")).await;
            same(&there, &here);
            let made = jpeg_size(&here.ok()).unwrap();
            assert!(made == size || query.starts_with("width=300"), "{query}: {made:?}");
            // Another server is told the same place.
            let media_id = id.split_once('/').unwrap().1;
            let told = peer.get(&deployment, &format!("/_matrix/federation/v1/media/thumbnail/{media_id}?{query}")).await;
            assert!(String::from_utf8_lossy(&told.ok()).contains(&format!("\r\nLocation: {url}\r\n\r\n\r\n--")));
            let tag = [("if-none-match", there.header("etag"))];
            let path = format!("/_matrix/client/v1/media/thumbnail/{id}?{query}");
            assert_eq!(deployment.bob().get_with(&path, tag).await.status, 304);
        }
    }

    async fn a_url_that_was_changed_or_has_ended_is_refused(shape: Shape) {
        let deployment = start_at_itself(to_self(shape)).await;
        let (alice, stranger) = (deployment.alice(), deployment.stranger());
        let (id, other) = (alice.upload(noise(70_000, 1), "text/plain").await, alice.upload(noise(70_000, 2), "text/plain").await);
        let url = location(&alice.download(&id).await);
        let parameter = |name: &str| url.query_pairs().find(|(other, _)| other == name).unwrap().1.into_owned();
        let (expires, signature) = (parameter("expires"), parameter("signature"));
        let path = url.path();
        let moved = path.replace(&id, &other);

        for changed in [
            path.to_owned(),
            format!("{path}?expires={expires}"),
            format!("{path}?signature={signature}"),
            format!("{path}?expires={expires}0&signature={signature}"),
            format!("{path}?expires=&signature={signature}"),
            format!("{path}?expires={expires}&signature={signature}A"),
            format!("{path}?expires={expires}&signature={}", &signature[1..]),
            format!("{moved}?expires={expires}&signature={signature}"),
            format!("{path}/name?expires={expires}&signature={signature}"),
            sign(path, 1),
        ] {
            let answer = stranger.get(&changed).await;
            answer.refused(403, "M_FORBIDDEN");
            assert_eq!(answer.header("cache-control"), "no-store", "{changed}");
            // A token does not make up for it.
            alice.get(&changed).await.refused(403, "M_FORBIDDEN");
        }
        stranger.get(&sign(path, 4_000_000_000)).await.ok();
        stranger.get(&sign("/_heliograph/media/media.test/nobody", 4_000_000_000)).await.refused(404, "M_NOT_FOUND");
        stranger.get("/_heliograph/media/media.test/no%20id?expires=1&signature=x").await.refused(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_url_stays_the_same_so_that_caches_have_it() {
    let deployment = start_at_itself(to_self(Shape::One).set("redirects", "lifetime", "7days")).await;
    let id = deployment.alice().upload(noise(70_000, 1), "text/plain").await;

    let urls: Vec<Url> =
        [location(&deployment.alice().download(&id).await), location(&deployment.bob().download(&id).await)].into();

    assert_eq!(urls[0], urls[1]);
}

#[tokio::test]
async fn a_url_that_was_made_with_a_former_secret_is_good_until_it_ends() {
    let mut deployment = start_at_itself(to_self(Shape::One)).await;
    let id = deployment.alice().upload(noise(70_000, 1), "text/plain").await;
    let old = location(&deployment.alice().download(&id).await);

    deployment.kill();
    deployment.change("redirects", "secret", "another-secret-of-tests-that-is-long-enough");
    deployment.change("redirects", "former_secrets", vec![SECRET]);
    deployment.start().await;

    follow(&old).await.ok();
    let new = location(&deployment.alice().download(&id).await);
    follow(&new).await.ok();
    assert_ne!(new.query_pairs().last(), old.query_pairs().last());
}

#[tokio::test]
async fn no_signature_of_a_url_is_ever_logged() {
    let mut deployment = start_at_itself(to_self(Shape::One).set("telemetry", "log_filter", "debug")).await;
    let id = deployment.alice().upload(noise(70_000, 1), "text/plain").await;
    let url = location(&deployment.alice().download(&id).await);
    let signature = url.query_pairs().find(|(name, _)| name == "signature").unwrap().1.into_owned();
    follow(&url).await.ok();
    deployment.stranger().get(&target(&url).replace("expires=", "expires=1")).await.refused(403, "M_FORBIDDEN");

    for process in deployment.processes() {
        process.signal("TERM");
        process.wait();
    }
    let log = deployment.log();
    assert!(log.contains("\"DEBUG\""), "nothing was logged at all");
    for secret in [SECRET, &signature] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn without_redirects_there_are_no_urls_of_our_own() {
    let deployment = heliograph_tests::Setup::new(Shape::One).start().await;
    let id = deployment.alice().upload(noise(70_000, 1), "text/plain").await;

    deployment.alice().download(&id).await.ok();
    let path = format!("/_heliograph/media/{id}");
    deployment.stranger().get(&sign(&path, 4_000_000_000)).await.refused(404, "M_UNRECOGNIZED");
}
