//! Ids that nobody can have lead nowhere, by any path.

use heliograph_tests::{Deployment, Peer, Setup, Shape, Wire, both_shapes};

/// Written by hand: well-behaved clients resolve dots and escape the rest themselves.
async fn ask(deployment: &Deployment, method: &str, target: &str, authorization: &str) -> (u16, String) {
    let mut wire = Wire::connect(deployment.address()).await;
    let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: media.test\r\nAuthorization: {authorization}\r\n{length}\r\n");
    wire.send(head.as_bytes()).await;
    wire.answer().await
}

#[track_caller]
fn assert_not_found((status, body): (u16, String), target: &str) {
    let error: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    assert_eq!((status, &error["errcode"]), (404, &"M_NOT_FOUND".into()), "{target}: {body}");
}

fn wrong_ids() -> Vec<String> {
    let ids = [
        "%2e%2e",
        "%2E%2E%2F%2E%2E",
        "..%2f..%2fetc%2fpasswd",
        "a%2Fb",
        "a%2fb",
        "%2F",
        "%5C",
        "a%00b",
        "%00",
        "%F0%9F%93%B7",
        "%C3%A4",
        "%FF",
        "a.b",
        "a~b",
        "a:b",
        "a|b",
        "a%25b",
        "%252e%252e",
        "a%20b",
        "a+b",
        "a%2Bb",
        "a@b",
        "%0A",
        "a%0d%0aX:%20y",
        "a%7Fb",
        "a!b",
        "a*b",
        "a;b",
        "a,b",
        "a=b",
        "%E2%80%AE",
    ];
    ids.map(str::to_owned).into_iter().chain(["a".repeat(256), "%41".repeat(256)]).collect()
}

const WRONG_NAMES: [&str; 12] = [
    "under_score.test",
    "media.test:99999",
    "media.test:",
    ":8448",
    "[::1",
    "a%20b",
    "%2e%2e%2f",
    "m%00",
    "media.test%2F..",
    "%C3%A4.test",
    "a%40media.test",
    "media.test%3A0x50",
];

both_shapes! {
    /// Escapes, slashes, NUL, Unicode, dots, 256 characters: 404 on all trees.
    async fn what_is_no_id_is_not_found_by_any_path(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let query = "width=9&height=9";

        for id in wrong_ids() {
            let id = format!("media.test/{id}");
            for (method, target) in [
                ("GET", format!("/_matrix/client/v1/media/download/{id}")),
                ("GET", format!("/_matrix/client/v1/media/download/{id}/name")),
                ("GET", format!("/_matrix/client/v1/media/thumbnail/{id}?{query}")),
                ("GET", format!("/_matrix/client/unstable/org.matrix.msc3916/media/download/{id}")),
                ("GET", format!("/_matrix/media/v3/download/{id}")),
                ("GET", format!("/_matrix/media/r0/thumbnail/{id}?{query}")),
                ("GET", format!("/_matrix/client/r0/media/download/{id}")),
                ("PUT", format!("/_matrix/media/v3/upload/{id}")),
                ("POST", format!("/_matrix/media/v1/upload/{id}/complete")),
                ("GET", format!("/_synapse/admin/v1/media/{id}")),
                ("DELETE", format!("/_synapse/admin/v1/media/{id}")),
                ("POST", format!("/_synapse/admin/v1/media/quarantine/{id}")),
            ] {
                assert_not_found(ask(&deployment, method, &target, "Bearer alice-token").await, &target);
            }
            let media_id = id.strip_prefix("media.test/").unwrap();
            for target in [
                format!("/_matrix/federation/v1/media/download/{media_id}"),
                format!("/_matrix/federation/v1/media/thumbnail/{media_id}?{query}"),
                format!("/_matrix/federation/v1/remote_media/download/{id}"),
            ] {
                let signature = peer.homeserver.sign("GET", &target, "media.test");
                assert_not_found(ask(&deployment, "GET", &target, &signature).await, &target);
            }
        }
    }

    /// The same for server names; nobody is asked for them.
    async fn what_is_no_server_name_is_not_found_by_any_path(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for name in WRONG_NAMES {
            for (method, target) in [
                ("GET", format!("/_matrix/client/v1/media/download/{name}/abc")),
                ("GET", format!("/_matrix/client/v1/media/thumbnail/{name}/abc?width=9&height=9")),
                ("GET", format!("/_matrix/media/v3/download/{name}/abc")),
                ("GET", format!("/_matrix/client/r0/media/thumbnail/{name}/abc?width=9&height=9")),
                ("PUT", format!("/_matrix/media/v3/upload/{name}/abc")),
                ("POST", format!("/_matrix/media/v3/upload/{name}/abc/complete")),
                ("GET", format!("/_synapse/admin/v1/media/{name}/abc")),
            ] {
                assert_not_found(ask(&deployment, method, &target, "Bearer alice-token").await, &target);
            }
        }
    }

    /// What looks odd and is an id is one; each upload has another, that nobody can guess.
    async fn ids_are_long_and_never_the_same(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let mut ids = std::collections::HashSet::new();
        for _ in 0..5 {
            ids.extend([alice.upload("the same", "text/plain").await, alice.create().await]);
        }

        assert_eq!(ids.len(), 10, "an id was given out twice");
        for id in &ids {
            let media_id = id.strip_prefix("media.test/").unwrap();
            let is_plain = media_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            assert!(is_plain && (24..=64).contains(&media_id.len()), "{id}");
        }
        // Escaped once, it is still the same id.
        let id = alice.upload("hello", "text/plain").await;
        let (name, media_id) = id.split_once('/').unwrap();
        let escaped = media_id.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(alice.download(&format!("{name}/{escaped}")).await.ok(), "hello");
    }
}
