//! URLs of a bucket, with and without a gateway in front of it.

use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Answer, Authority, Nginx, Peer, Setup, Shape, both_shapes, free_port, jpeg, noise};
use reqwest::Method;
use serde_json::json;

use super::{LEGACY, SECRET, anybody, assert_cors, assert_sent, follow, location, start_at_itself, target};

/// The snippet that operators are told to use.
const GATEWAY: &str = include_str!("../../nginx/bucket.conf");

fn over(server: &S3Server, shape: Shape) -> Setup {
    let setup = Setup::new(shape).set("redirects", "to", "store");
    // Strings are understood by every setting.
    server.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value))
}

fn address(server: &S3Server) -> String {
    let endpoint = server.settings().into_iter().find(|(key, _)| *key == "endpoint").unwrap().1;
    endpoint.strip_prefix("http://").unwrap().to_owned()
}

both_shapes! {
    async fn a_bucket_serves_what_is_an_attachment(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let file = noise(70_000, 1);

        for (name, kind, disposition) in [
            ("report-2.pdf", "application/pdf", "attachment; filename=report-2.pdf"),
            ("my%20report;%20v2.bin", "application/octet-stream", "attachment; filename=\"my report; v2.bin\""),
            ("sp%C3%A4%C5%A5%2050%25.svg", "image/svg+xml", "attachment; filename*=utf-8''sp%C3%A4%C5%A5%2050%25.svg"),
        ] {
            let id = alice.upload_named(file.clone(), kind, name).await;
            let other = alice.upload(file.clone(), kind).await;
            for path in [id.clone(), format!("{other}/{name}")] {
                let sent = bob.download(&path).await;
                assert_sent(&sent);
                let url = location(&sent);
                assert!(url.as_str().starts_with(&format!("http://{}/media/blobs/", address(&server))), "{url}");

                let answer = follow(&url).await;

                assert_eq!((answer.header("content-type"), answer.header("content-disposition")), (kind, disposition));
                assert!(answer.ok() == file, "other bytes");
                let part = anybody(&url, "".as_ref()).get_with(&target(&url), [("range", "bytes=5-9")]).await;
                assert_eq!((part.status.as_u16(), &part.body[..]), (206, &file[5..10]));
                assert_eq!(follow(&url.as_str().replace("octet", "other").replace("pdf", "html").replace("svg", "htm").parse().unwrap()).await.status, 403);
            }
        }
    }

    async fn a_plain_bucket_gets_nothing_that_it_would_spoil(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let (alice, stranger) = (deployment.alice(), deployment.stranger());
        let (file, picture) = (noise(70_000, 1), [jpeg(400, 300), noise(70_000, 2)].concat());
        let id = alice.upload(file.clone(), "application/octet-stream").await;
        let shown = alice.upload(picture.clone(), "image/jpeg").await;
        let path = format!("{}/{id}?allow_redirect=true", LEGACY[0]);

        // It would not send the headers that make pictures harmless.
        assert!(alice.download(&shown).await.ok() == picture, "other bytes");
        // It refuses a token, and these send theirs on.
        assert_sent(&stranger.get(&path).await);
        assert!(alice.get(&path).await.ok() == file, "other bytes");
        for name in ["Synapse/1.99.0", "Mozilla/5.0 (X) AppleWebKit/537.36 Chrome/118.0.1 Safari/537.36", "Python-urllib/3.11"] {
            let answer = stranger.get_with(&path, [("user-agent", name)]).await;
            assert_eq!(answer.status, 200, "{name}");
        }
        let today = "Mozilla/5.0 (X) AppleWebKit/537.36 Chrome/146.0.1 Safari/537.36";
        assert_sent(&stranger.get_with(&path, [("user-agent", today)]).await);
        // Its URLs are good for one method.
        let head = alice.ask(Method::HEAD, &format!("/_matrix/client/v1/media/download/{id}")).await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "70000"));
        // What is quarantined is not told from now on, and what is deleted is gone from there.
        let url = location(&alice.download(&id).await);
        alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();
        alice.download(&id).await.refused(404, "M_NOT_FOUND");
        alice.post(&format!("/_synapse/admin/v1/media/unquarantine/{id}"), &json!({})).await.ok();
        alice.ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{id}")).await.ok();
        assert_eq!(follow(&url).await.status, 404);
    }

    async fn another_server_is_told_the_url_of_the_bucket(shape: Shape) {
        let (server, peer) = (S3Server::start().await, Peer::start().await);
        let deployment = over(&server, shape).trusts(&peer.authority()).start().await;
        let file = noise(70_000, 1);
        let id = deployment.alice().upload_named(file.clone(), "application/zip", "sp%C3%A4%C5%A5.zip").await;
        let media_id = id.split_once('/').unwrap().1;

        let told = peer.get(&deployment, &format!("/_matrix/federation/v1/media/download/{media_id}")).await.ok();

        let told = String::from_utf8(told.to_vec()).unwrap();
        let url = told.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().parse().unwrap();
        let answer = follow(&url).await;
        assert_eq!(answer.header("content-type"), "application/zip");
        assert_eq!(answer.header("content-disposition"), "attachment; filename*=utf-8''sp%C3%A4%C5%A5.zip");
        assert!(answer.ok() == file, "other bytes");
    }

    async fn who_cannot_be_sent_to_the_bucket_is_sent_to_us_if_there_is_an_address(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = start_at_itself(over(&server, shape).set("redirects", "secret", SECRET)).await;
        let (alice, bucket, here) = (deployment.alice(), address(&server), deployment.address().to_string());
        let id = alice.upload(noise(70_000, 1), "application/octet-stream").await;
        let shown = alice.upload([jpeg(40, 30), noise(70_000, 2)].concat(), "image/jpeg").await;
        let place = |answer: &Answer| {
            let url = location(answer);
            format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
        };

        assert_eq!(place(&alice.download(&id).await), bucket);
        let picture = alice.download(&shown).await;
        assert_eq!(place(&picture), here);
        assert_cors(&follow(&location(&picture)).await);
        assert_eq!(place(&alice.get(&format!("{}/{id}?allow_redirect=true", LEGACY[0])).await), here);
        let head = alice.ask(Method::HEAD, &format!("/_matrix/client/v1/media/download/{id}")).await;
        assert_eq!(place(&head), here);
    }
}

#[tokio::test]
async fn a_gateway_makes_a_bucket_fit_for_everything() {
    let server = S3Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let place = format!("127.0.0.9:{}", free_port());
    let (certificate, key) = authority.certify("127.0.0.9");
    let mut gateway = GATEWAY.to_owned();
    for (documented, here) in [
        ("listen 443", format!("listen {place}")),
        ("/etc/ssl/bucket.example.org.pem", certificate.display().to_string()),
        ("/etc/ssl/bucket.example.org.key", key.display().to_string()),
        ("127.0.0.1:9000", address(&server)),
    ] {
        assert!(gateway.contains(documented), "the snippet has changed: {documented}");
        gateway = gateway.replace(documented, &here);
    }
    let _nginx = Nginx::serve(&folder.path().join("nginx"), &gateway, &[&place]).await;
    let deployment = over(&server, Shape::One)
        .set("redirects", "guarded_store", true)
        .set("redirects", "thumbnails", true)
        .set("redirects", "min_bytes", 0)
        .set("storage", "public_endpoint", format!("https://{place}"))
        .start()
        .await;
    let alice = deployment.alice();
    let picture = jpeg(400, 300);
    let id = alice.upload_named(picture.clone(), "image/jpeg", "sun.jpg").await;
    let thumbnail = alice.thumbnail(&id, "width=96&height=96&method=crop&allow_redirect=false").await;
    // Who has one that is not kept gets it from us.
    alice.thumbnail(&id, "width=33&height=77&method=crop").await.ok();

    for (sent, bytes, disposition) in [
        (alice.download(&id).await, &picture[..], "inline; filename=sun.jpg"),
        (alice.get(&format!("{}/{id}?allow_redirect=true", LEGACY[0])).await, &picture[..], "inline; filename=sun.jpg"),
        (
            alice.thumbnail(&id, "width=96&height=96&method=crop").await,
            &thumbnail.body[..],
            "inline; filename=thumbnail.jpg",
        ),
    ] {
        let url = location(&sent);
        let anybody = anybody(&url, &authority.file());
        let with_token = anybody.with_token("alice-token").get(&target(&url)).await;
        let preflight = anybody.ask(Method::OPTIONS, &target(&url)).await;
        assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (204, "*"));
        assert!(preflight.header("access-control-allow-headers").contains("Range"), "{preflight:?}");

        for answer in [anybody.get(&target(&url)).await, with_token] {
            assert_eq!(
                (answer.header("content-type"), answer.header("content-disposition")),
                ("image/jpeg", disposition)
            );
            assert_cors(&answer);
            assert!(answer.ok() == bytes, "other bytes");
        }
    }
}
