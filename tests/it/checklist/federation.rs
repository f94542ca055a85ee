//! Other servers: what they get, how they prove who they are, and how we ask old ones.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use heliograph_tests::{Answer, Origin, Peer, Server, Setup, Shape, answer_json, both_shapes, eventually, noise};
use reqwest::Method;
use serde_json::{Value, json};

const KEY_ID: &str = "ed25519:a_test";

/// A request of `peer`, signed over these values and said to be so in this header.
struct Signed<'a> {
    peer: &'a Peer,
    destination: &'a str,
    target: &'a str,
    form: &'a str,
}

impl Signed<'_> {
    /// `{o}`, `{d}`, `{k}` and `{s}` stand for the values.
    fn header(&self) -> String {
        let origin = self.peer.name();
        let request = json!({"method": "GET", "uri": self.target, "origin": origin, "destination": self.destination});
        let signature = self.peer.homeserver.signature(&request);
        let header = self.form.replace("{o}", origin).replace("{d}", self.destination);
        header.replace("{k}", KEY_ID).replace("{s}", &signature)
    }
}

const USUAL: &str = r#"X-Matrix origin="{o}",destination="{d}",key="{k}",sig="{s}""#;

both_shapes! {
    /// The body of a download, byte by byte but for its boundary.
    async fn the_body_is_as_other_servers_parse_it(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let request = deployment.alice().request(Method::POST, "/_matrix/media/v3/upload?filename=a.txt");
        let uploaded = Answer::of(request.header("content-type", "text/plain").body("hello")).await.json();
        let media_id = uploaded["content_uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();

        let mut boundaries = std::collections::HashSet::new();
        for tree in ["v1", "unstable/org.matrix.msc3916.v2"] {
            let path = format!("/_matrix/federation/{tree}/media/download/{media_id}?timeout_ms=20000");
            let answer = peer.request(&deployment, Method::GET, &path).header("range", "bytes=0-1");
            let answer = Answer::of(answer.header("if-none-match", "*")).await;

            // Ranges and conditions mean nothing here.
            assert_eq!(answer.status, 200, "{answer:?}");
            let boundary = answer.header("content-type").strip_prefix("multipart/mixed; boundary=").unwrap().to_owned();
            assert!((30..=36).contains(&boundary.len()) && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let expected = format!(
                "\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n\
                 Content-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n\r\nhello\r\n--{boundary}--\r\n"
            );
            assert_eq!(answer.body, expected);
            assert_eq!(answer.header("content-length"), expected.len().to_string());
            assert_eq!((answer.header("cache-control"), answer.header("accept-ranges")), ("private, no-store", ""));
            boundaries.insert(boundary);
        }
        assert_eq!(boundaries.len(), 2, "a boundary came twice");
    }

    /// Only our own media: copies of others are not found, nor what is signed for another name.
    async fn other_servers_get_nothing_that_is_not_ours(shape: Shape) {
        let origin = Origin::start(b"hello").await;
        origin.go_on(1);
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        deployment.alice().download(&origin.id()).await.ok();
        eventually("the copy is kept", async || (deployment.stored("records").len() == 1).then_some(())).await;

        for path in [
            "/_matrix/federation/v1/media/download/abc".to_owned(),
            "/_matrix/federation/v1/media/thumbnail/abc?width=9&height=9".to_owned(),
            format!("/_matrix/federation/v1/remote_media/download/{}", origin.id()),
            format!("/_matrix/federation/unstable/org.matrix.msc3916/media/download/{}", origin.id()),
        ] {
            origin.peer.get(&deployment, &path).await.refused(404, "M_NOT_FOUND");
        }
    }

    /// Every way to write a good header is accepted.
    async fn a_signature_may_be_written_in_every_usual_form(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let target = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);

        for form in [
            USUAL,
            r#"x-matrix   origin="{o}",destination="{d}",key="{k}",sig="{s}""#,
            r#"X-Matrix sig="{s}" , KEY="{k}",Destination="{d}",	Origin="{o}""#,
            r#"X-Matrix origin={o},destination={d},key={k},sig="{s}""#,
            r#"X-Matrix origin="{o}",destination="{d}",key="{k}",signature="{s}""#,
            r#"X-Matrix origin="{o}",destination="{d}",key="{k}",sig="{s}==""#,
            r#"X-Matrix origin="{o}",destination="{d}",key="{k}",sig="{s}",other="x""#,
            r#"X-Matrix origin="\1{o}",destination="{d}",key="{k}",sig="{s}""#,
            // Old servers leave the destination out, and sign it.
            r#"X-Matrix origin="{o}",key="{k}",sig="{s}""#,
        ] {
            let form = form.replace("\\1{o}", &format!("\\{}", peer.name()));
            let header = Signed { peer: &peer, destination: "media.test", target: &target, form: &form }.header();
            let answer = deployment.stranger().get_with(&target, [("authorization", &header)]).await;
            assert_eq!(answer.status, 200, "{header}: {answer:?}");
        }
        // One good header among several is enough.
        let good = Signed { peer: &peer, destination: "media.test", target: &target, form: USUAL }.header();
        let bad = good.replace(KEY_ID, "ed25519:other");
        let answer = deployment.stranger().get_with(&target, [("authorization", bad.as_str()), ("authorization", &good)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What is signed counts to the byte: path, query, destination, key.
    async fn a_signature_holds_for_nothing_else(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let media_id = id.split_once('/').unwrap().1;
        let target = format!("/_matrix/federation/v1/media/download/{media_id}");
        let usual = |destination: &str, signed: &str| Signed { peer: &peer, destination, target: signed, form: USUAL }.header();
        let good = usual("media.test", &target);
        let doubled = format!("{good},origin=\"{}\"", peer.name());
        let cut = good.replace("sig=\"", "sig=\"AAAA");
        let of_others = good.replace(peer.name(), "127.0.0.9:1");
        let from_us = good.replace(peer.name(), "media.test");
        let unknown_key = good.replace(KEY_ID, "ed25519:other");
        let no_signature = good.replace("sig=", "gis=");

        for header in [
            usual("other.test", &target),
            usual("MEDIA.test", &target),
            usual("media.test", &format!("{target}?timeout_ms=1")),
            usual("media.test", &target.replace("download", "thumbnail")),
            usual("media.test", &format!("https://media.test{target}")),
            doubled, cut, of_others, from_us, unknown_key, no_signature,
            good.replace("X-Matrix", "Bearer"),
            "X-Matrix".to_owned(),
            "X-Matrix origin=".to_owned(),
            format!("X-Matrix {}", "a".repeat(10_000)),
            format!("X-Matrix origin=\"{}\",destination=\"media.test\",key=\"{KEY_ID}\",sig=\"{}\"", peer.name(), STANDARD_NO_PAD.encode([0; 64])),
        ] {
            let answer = deployment.stranger().get_with(&target, [("authorization", &header)]).await;
            answer.refused(401, "M_UNAUTHORIZED");
        }
        // Nothing is told of what is there.
        let missing = deployment.stranger().get("/_matrix/federation/v1/media/download/nobody").await;
        let there = deployment.stranger().get(&target).await;
        assert_eq!((missing.status, missing.body), (there.status, there.body));
    }

    /// The raw request target is what is signed: escapes stay as they are.
    async fn the_target_is_signed_as_it_was_sent(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let (name, media_id) = id.split_once('/').unwrap();
        let escaped = media_id.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();

        for target in [
            format!("/_matrix/federation/v1/media/download/{escaped}"),
            format!("/_matrix/federation/v1/media/download/{media_id}?x=%3A%2f:&&timeout_ms=1&timeout_ms=%32"),
            format!("/_matrix/federation/v1/remote_media/download/{}/{media_id}", name.replace('.', "%2E")),
        ] {
            let answer = peer.get(&deployment, &target).await;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
        }
        // Some sign without the question mark that they send.
        let target = format!("/_matrix/federation/v1/media/download/{media_id}");
        let header = Signed { peer: &peer, destination: name, target: &target, form: USUAL }.header();
        let answer = deployment.stranger().get_with(&format!("{target}?"), [("authorization", &header)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// An old server is asked by its old path, which says that it must not ask others, and says
    /// nothing of who we are; what worked is tried first the next time.
    async fn an_old_server_is_asked_by_its_old_path(shape: Shape) {
        let origin = Origin::legacy(&noise(1000, 1)).await;
        origin.go_on(10);
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        let name = origin.peer.name();

        for media_id in ["one", "two"] {
            deployment.alice().download(&format!("{name}/{media_id}")).await.ok();
        }

        let requests = origin.requests();
        let asked: Vec<&str> = requests.iter().map(heliograph_tests::Request::path).collect();
        let old = |media_id: &str| format!("/_matrix/media/v3/download/{name}/{media_id}");
        assert_eq!(asked, ["/_matrix/federation/v1/media/download/one", &old("one"), &old("two")]);
        assert!(requests[0].header("authorization").is_some_and(|value| value.starts_with("X-Matrix origin=")));
        for request in &requests[1..] {
            assert!(request.target().contains("allow_remote=false"), "{request:?}");
            assert_eq!(request.header("authorization"), None);
        }
    }

    /// Nothing but an unknown endpoint makes us ask the old path.
    async fn no_other_answer_leads_to_the_old_path(shape: Shape) {
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&asked);
        let server = Server::start(move |request, stream| {
            let status = request.path().rsplit('/').next().unwrap().parse().unwrap();
            seen.lock().unwrap().push(request.path().to_owned());
            let code = if status == 404 { "M_NOT_FOUND" } else { "M_UNKNOWN" };
            let body = json!({"errcode": code, "error": "no"}).to_string();
            async move { answer_json(stream, status, "", &body).await }
        })
        .await;
        for (said, status, errcode) in [(404, 404, "M_NOT_FOUND"), (401, 502, "M_UNKNOWN"), (403, 502, "M_UNKNOWN"), (413, 502, "M_TOO_LARGE"), (500, 502, "M_UNKNOWN")] {
            let peer = Peer::with_media(server.address()).await;
            let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;

            deployment.bob().download(&format!("{}/{said}", peer.name())).await.refused(status, errcode);
        }
        let asked = asked.lock().unwrap();
        assert!(asked.iter().all(|path| path.starts_with("/_matrix/federation/v1/")), "{asked:?}");
        assert_eq!(asked.len(), 5, "{asked:?}");
    }

    /// A remote medium over our limit is neither kept nor given out.
    async fn what_is_too_large_elsewhere_is_not_fetched(shape: Shape) {
        let origin = Origin::legacy(&noise(300_000, 1)).await;
        origin.go_on(10);
        let deployment = Setup::new(shape).set("federation", "max_bytes", "100 KiB").trusts(&origin.peer.authority()).start().await;

        deployment.bob().download(&origin.id()).await.refused(502, "M_TOO_LARGE");

        let empty = async || ["records", "blobs"].iter().all(|prefix| deployment.stored(prefix).is_empty()).then_some(());
        eventually("nothing is kept", empty).await;
    }

    /// Quarantine counts for copies too; an administrator sees where they are from.
    async fn a_copy_can_be_quarantined_and_described(shape: Shape) {
        let origin = Origin::start(b"hello").await;
        origin.go_on(10);
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        let (alice, id) = (deployment.alice(), origin.id());
        let info = format!("/_synapse/admin/v1/media/{id}");
        alice.get(&info).await.refused(404, "M_NOT_FOUND");
        deployment.bob().download(&id).await.ok();
        eventually("the copy is kept", async || (deployment.stored("records").len() == 1).then_some(())).await;

        let found = alice.get(&info).await.json()["media_info"].clone();
        assert_eq!((&found["media_origin"], &found["media_id"]), (&json!(origin.peer.name()), &json!("abc")));
        assert_eq!((&found["user_id"], &found["safe_from_quarantine"]), (&Value::Null, &Value::Null));
        assert!(found["filesystem_id"].is_string(), "{found}");
        alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();

        deployment.bob().download(&id).await.refused(404, "M_NOT_FOUND");
        deployment.stranger().get(&format!("/_matrix/media/v3/download/{id}")).await.refused(404, "M_NOT_FOUND");
        assert_eq!(origin.requests().len(), 1, "it was fetched again");
    }
}
