//! Who is sent to where the bytes are, and what is found there.

mod cdn;
mod elsewhere;
mod own;
mod servers;
mod store;

use std::path::Path;

use heliograph_tests::{Answer, Client, Deployment, Peer, Setup, Shape, both_shapes, jpeg, noise};
use reqwest::{Method, Url};
use serde_json::json;

const SECRET: &str = "a-secret-of-tests-that-is-long-enough";

/// Settings that send to a URL of our own.
fn to_self(shape: Shape) -> Setup {
    Setup::new(shape).set("redirects", "to", "self").set("redirects", "secret", SECRET)
}

/// Starts it with the address of the deployment itself as that of the URLs.
async fn start_at_itself(setup: Setup) -> Deployment {
    let mut deployment = setup.set("redirects", "allow_http", true).prepare().await;
    deployment.change("redirects", "base_url", format!("http://{}", deployment.address()));
    deployment.start().await;
    deployment
}

/// Where an answer sends its caller.
#[track_caller]
fn location(answer: &Answer) -> Url {
    assert_eq!(answer.status, 307, "{answer:?}");
    answer.header("location").parse().unwrap_or_else(|_| panic!("no absolute URL: {answer:?}"))
}

fn target(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// Whoever comes to a URL without anything but it.
fn anybody(url: &Url, authority: &Path) -> Client {
    let place = url.authority();
    match url.scheme() {
        "https" => Client::secure(place, authority, None),
        _ => Client::plain(place.parse().unwrap(), "").without_token(),
    }
}

/// What is at a URL without TLS.
async fn follow(url: &Url) -> Answer {
    anybody(url, Path::new("")).get(&target(url)).await
}

fn assert_cors(answer: &Answer) {
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}: {answer:?}");
    }
    assert!(answer.header("content-security-policy").starts_with("sandbox; default-src 'none'"), "{answer:?}");
}

/// Fails unless it is a whole redirect.
#[track_caller]
fn assert_sent(answer: &Answer) {
    location(answer);
    assert_cors(answer);
    assert_eq!(answer.header("cache-control"), "private, max-age=75");
    assert_eq!(answer.header("vary"), "Authorization");
    assert_eq!((answer.header("content-length"), answer.body.len()), ("0", 0));
}

const DOWNLOADS: [&str; 2] =
    ["/_matrix/client/v1/media/download", "/_matrix/client/unstable/org.matrix.msc3916/media/download"];
const LEGACY: [&str; 4] = [
    "/_matrix/media/v3/download",
    "/_matrix/media/r0/download",
    "/_matrix/media/v1/download",
    "/_matrix/client/r0/media/download",
];

both_shapes! {
    async fn who_copes_with_a_redirect_is_sent_and_everybody_else_gets_the_bytes(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = start_at_itself(to_self(shape).trusts(&peer.authority())).await;
        let (alice, stranger) = (deployment.alice(), deployment.stranger());
        let file = noise(70_000, 1);
        let id = alice.upload(file.clone(), "application/octet-stream").await;
        let media_id = id.split_once('/').unwrap().1;

        for path in DOWNLOADS {
            for wish in ["", "allow_redirect=true", "allow_redirect=nonsense"] {
                assert_sent(&alice.get(&format!("{path}/{id}?{wish}")).await);
            }
            for wish in ["allow_redirect=false", "com.beeper.msc3860.allow_redirect=false"] {
                assert!(alice.get(&format!("{path}/{id}?{wish}")).await.ok() == file, "{wish}");
            }
        }
        for path in LEGACY {
            for wish in ["allow_redirect=true", "com.beeper.msc3860.allow_redirect=true"] {
                assert_sent(&stranger.get(&format!("{path}/{id}?{wish}")).await);
                // Our own address puts up with a token, whoever sends it there.
                assert_sent(&alice.get(&format!("{path}/{id}?{wish}")).await);
            }
            for wish in ["", "allow_redirect=false", "allow_redirect=True", "allow_redirect=1", "allow_redirect"] {
                assert!(stranger.get(&format!("{path}/{id}?{wish}")).await.ok() == file, "{wish}");
            }
        }
        // Other servers are told a place, and never sent there; MSC1902 knows neither.
        let told = peer.get(&deployment, &format!("/_matrix/federation/v1/media/download/{media_id}")).await;
        assert!(String::from_utf8_lossy(&told.ok()).contains("\r\nLocation: http://127.0.0.1:"));
        let plain = peer.get(&deployment, &format!("/_matrix/federation/v1/remote_media/download/{id}")).await;
        assert!(plain.ok() == file, "other bytes");
    }

    async fn a_request_that_a_redirect_does_not_help_is_answered_here(shape: Shape) {
        let setup = to_self(shape).set("api", "freeze_since", "2020-01-01T00:00:00Z");
        let deployment = start_at_itself(setup).await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = alice.upload(noise(70_000, 1), "application/octet-stream").await;
        let (small, picture) = (alice.upload("small", "text/plain").await, alice.upload(jpeg(400, 300), "image/jpeg").await);
        let pending = alice.create().await;
        let path = format!("{}/{id}", DOWNLOADS[0]);

        assert_eq!(bob.download(&small).await.ok(), "small");
        bob.thumbnail(&picture, "width=96&height=96&method=crop").await.ok();
        bob.download(&format!("{pending}?timeout_ms=0")).await.refused(504, "M_NOT_YET_UPLOADED");
        bob.download("media.test/nobody").await.refused(404, "M_NOT_FOUND");
        // What is frozen is nowhere.
        let frozen = format!("{}/{id}?allow_redirect=true", LEGACY[0]);
        deployment.stranger().get(&frozen).await.refused(404, "M_NOT_FOUND");
        deployment.stranger().get(&path).await.refused(401, "M_MISSING_TOKEN");
        // Who has it is not sent to get it again; who wants a part or the head gets it there.
        let tag = bob.get(&format!("{path}?allow_redirect=false")).await.header("etag").to_owned();
        assert_eq!(bob.get_with(&path, [("if-none-match", tag.as_str())]).await.status, 304);
        assert_sent(&bob.get_with(&path, [("range", "bytes=0-9")]).await);
        let head = bob.ask(Method::HEAD, &path).await;
        assert_eq!((location(&head).path(), head.header("content-length")), (location(&bob.get(&path).await).path(), "0"));
    }

    async fn what_is_quarantined_or_deleted_is_gone_behind_its_url_too(shape: Shape) {
        let deployment = start_at_itself(to_self(shape)).await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let admin = "/_synapse/admin/v1/media";
        let file = noise(70_000, 1);
        let id = alice.upload(file.clone(), "application/octet-stream").await;
        let url = location(&bob.download(&id).await);
        assert!(follow(&url).await.ok() == file, "other bytes");

        alice.post(&format!("{admin}/quarantine/{id}"), &json!({})).await.ok();
        follow(&url).await.refused(404, "M_NOT_FOUND");
        bob.download(&id).await.refused(404, "M_NOT_FOUND");
        // Who may see it all the same gets it from us alone.
        assert!(alice.download(&format!("{id}?admin_unsafely_bypass_quarantine=true")).await.ok() == file);
        alice.post(&format!("{admin}/unquarantine/{id}"), &json!({})).await.ok();
        assert!(follow(&url).await.ok() == file, "other bytes");
        alice.ask(Method::DELETE, &format!("{admin}/{id}")).await.ok();

        let gone = follow(&url).await;
        gone.refused(404, "M_NOT_FOUND");
        assert_eq!(gone.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn each_kind_of_caller_can_be_left_out() {
    let peer = Peer::start().await;
    for (kind, clients, legacy, servers) in
        [("clients", 200, 307, true), ("legacy", 307, 200, true), ("servers", 307, 307, false)]
    {
        let setup = to_self(Shape::One).set("redirects", kind, false).trusts(&peer.authority());
        let deployment = start_at_itself(setup).await;
        let id = deployment.alice().upload(noise(70_000, 1), "text/plain").await;

        assert_eq!(deployment.alice().download(&id).await.status, clients, "{kind}");
        let path = format!("{}/{id}?allow_redirect=true", LEGACY[0]);
        assert_eq!(deployment.stranger().get(&path).await.status, legacy, "{kind}");
        let media_id = id.split_once('/').unwrap().1;
        let told = peer.get(&deployment, &format!("/_matrix/federation/v1/media/download/{media_id}")).await.ok();
        assert_eq!(told.len() < 1000, servers, "{kind}");

        let metrics = deployment.stranger().get("/metrics").await.ok();
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let counted = ["redirects_total{target=\"self\"} 2\n", "redirects_not_made_total{reason=\"switched_off\"} 1\n"];
        assert!(counted.iter().all(|line| metrics.contains(line)), "{metrics}");
    }
}
