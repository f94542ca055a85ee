//! Every path of the reference is there, under each of its names, and nothing else is.

use std::{collections::BTreeMap, fs, path::Path};

use heliograph_tests::{Answer, Client, Deployment, Peer, Setup, Shape, Wire, both_shapes, jpeg, jpeg_size};
use reqwest::Method;
use serde_json::json;

/// A row of `ENDPOINTS.md` for one path.
#[derive(Debug, Clone)]
struct Endpoint {
    methods: Vec<String>,
    path: String,
    callers: String,
}

/// All rows, each path of each.
fn endpoints() -> Vec<Endpoint> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/heliograph/ENDPOINTS.md");
    let text = fs::read_to_string(file).unwrap().replace("\\|", "\u{1}");
    let rows = text.lines().filter(|line| line.contains("| `/"));
    let found: Vec<Endpoint> = rows
        .flat_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let methods: Vec<String> = cells[1].split(", ").map(str::to_owned).collect();
            let callers = cells[3].to_owned();
            let paths = expand(cells[2].trim_matches('`')).into_iter();
            paths.map(move |path| Endpoint { methods: methods.clone(), path, callers: callers.clone() })
        })
        .collect();
    assert!(found.len() > 80, "the reference has lost most of its rows: {}", found.len());
    found
}

/// `(a|b)` stands for several paths, `[/c]` may be there or not.
fn expand(path: &str) -> Vec<String> {
    if let Some((before, rest)) = path.split_once('(') {
        let (choices, after) = rest.split_once(')').unwrap();
        return choices.split('\u{1}').flat_map(|choice| expand(&format!("{before}{choice}{after}"))).collect();
    }
    match path.split_once('[') {
        Some((before, rest)) => {
            let (option, after) = rest.split_once(']').unwrap();
            vec![format!("{before}{after}"), format!("{before}{option}{after}")]
        }
        None => vec![path.to_owned()],
    }
}

impl Endpoint {
    fn is_read(&self) -> bool {
        self.methods.iter().any(|method| method == "GET")
    }

    /// The path for a medium.
    fn of(&self, id: &str) -> String {
        let (server_name, media_id) = id.split_once('/').unwrap();
        let path = self.path.replace("{server_name}", server_name).replace("{media_id}", media_id);
        path.replace("{file_name}", "name.jpg").replace("{user_id}", "@bob:media.test")
    }
}

/// All paths of one method that contain this, such as `/media/download/`.
fn paths(method: &str, part: &str) -> Vec<Endpoint> {
    let mut found = endpoints();
    // Our own have tests of their own.
    found.retain(|endpoint| endpoint.path.starts_with("/_matrix/"));
    found.retain(|endpoint| endpoint.methods.iter().any(|other| other == method) && endpoint.path.contains(part));
    assert!(!found.is_empty(), "no path has {part}");
    found
}

/// The paths by which clients download and see thumbnails, old and new.
fn for_clients(part: &str) -> Vec<Endpoint> {
    let mut found = paths("GET", part);
    found.retain(|endpoint| !endpoint.path.contains("/federation/"));
    found
}

fn ending(method: &str, part: &str) -> Vec<String> {
    let found = paths(method, part).into_iter().map(|endpoint| endpoint.path);
    found.filter(|path| path.ends_with(part)).collect()
}

fn assert_cors(answer: &Answer, what: &str) {
    for (name, values) in [
        ("access-control-allow-origin", &["*"][..]),
        ("access-control-allow-methods", &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
        (
            "access-control-allow-headers",
            &["X-Requested-With", "Content-Type", "Authorization", "Range", "If-None-Match", "If-Range"],
        ),
        (
            "access-control-expose-headers",
            &["Content-Disposition", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Retry-After"],
        ),
    ] {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{what}: {name} {answer:?}");
        let sent: Vec<&str> = answer.header(name).split(", ").collect();
        assert!(values.iter().all(|value| sent.contains(value)), "{what}: {name}: {sent:?}");
    }
    assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{what}: {answer:?}");
}

async fn upload(client: &Client, path: &str, bytes: Vec<u8>) -> String {
    let request = client.request(Method::POST, path).header("content-type", "image/jpeg").body(bytes);
    id_of(&Answer::of(request).await)
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

/// The headers but those that differ by time or by chance.
fn lasting_headers(answer: &Answer) -> BTreeMap<String, String> {
    let pairs = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    pairs
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| {
            let value = value.split_once("boundary=").map_or(value.as_str(), |(before, _)| before).to_owned();
            (name, value)
        })
        .collect()
}

/// Asks as whoever may.
async fn ask(deployment: &Deployment, peer: &Peer, endpoint: &Endpoint, method: Method, path: &str) -> Answer {
    if endpoint.callers.starts_with("other servers") {
        return Answer::of(peer.request(deployment, method, path)).await;
    }
    deployment.alice().ask(method, path).await
}

#[tokio::test]
async fn every_path_answers_a_preflight_of_anyone() {
    let deployment = Setup::new(Shape::One).start().await;
    let everywhere = endpoints().into_iter().map(|endpoint| endpoint.of("media.test/abc"));

    for path in everywhere.chain(["/_matrix/media/unknown".to_owned()]) {
        let request = deployment.stranger().request(Method::OPTIONS, &path).header("origin", "https://app.example");
        let answer = Answer::of(request.header("access-control-request-method", "GET")).await;

        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.body, "", "{path}");
        assert_cors(&answer, &path);
    }
    assert_eq!(deployment.homeserver.requests("").len(), 0, "a preflight is nobody's business");
}

#[tokio::test]
async fn every_path_tells_a_wrong_method_which_are_right() {
    let deployment = Setup::new(Shape::One).start().await;
    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for endpoint in endpoints() {
        methods.entry(endpoint.of("media.test/abc")).or_default().extend(endpoint.methods);
    }

    for (path, methods) in methods {
        for wrong in [Method::PATCH, Method::from_bytes(b"PROPFIND").unwrap(), Method::TRACE] {
            let answer = deployment.stranger().ask(wrong, &path).await;

            answer.refused(405, "M_UNRECOGNIZED");
            assert_cors(&answer, &path);
            let allowed: Vec<&str> = answer.header("allow").split(", ").collect();
            let named = methods.iter().all(|method| allowed.contains(&method.as_str()));
            assert!(named && allowed.contains(&"OPTIONS"), "{path}: {allowed:?}");
        }
        for other in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            if !methods.iter().any(|method| method == other.as_str()) {
                deployment.stranger().ask(other, &path).await.refused(405, "M_UNRECOGNIZED");
            }
        }
    }
}

#[tokio::test]
async fn every_path_asks_first_who_is_there() {
    let deployment = Setup::new(Shape::One).start().await;

    for endpoint in endpoints() {
        // Whatever else is wrong: parameters are missing, nobody has this medium, nor this name.
        for id in ["media.test/abc", "not%20a%20name/!"] {
            let path = endpoint.of(id);
            let method: Method = endpoint.methods[0].parse().unwrap();
            let answer = deployment.stranger().ask(method.clone(), &path).await;
            let with_token = deployment.user("nobody").ask(method, &path).await;

            match endpoint.callers.as_str() {
                "anyone" => assert_ne!(answer.status, 401, "{path}: {answer:?}"),
                "other servers, by signature" => {
                    answer.refused(401, "M_UNAUTHORIZED");
                    with_token.refused(401, "M_UNAUTHORIZED");
                }
                _ => {
                    answer.refused(401, "M_MISSING_TOKEN");
                    with_token.refused(401, "M_UNKNOWN_TOKEN");
                }
            }
            assert_cors(&answer, &path);
        }
    }
}

#[tokio::test]
async fn only_those_who_are_named_may_call() {
    let deployment = Setup::new(Shape::One).start().await;

    for endpoint in endpoints().into_iter().filter(|endpoint| endpoint.callers == "users") {
        let method: Method = endpoint.methods[0].parse().unwrap();
        let answer = deployment.user("guest").ask(method, &endpoint.of("media.test/abc")).await;

        answer.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
}

both_shapes! {
    async fn what_came_by_any_path_is_had_by_every_path(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let picture = jpeg(400, 300);
        let mut ids = Vec::new();
        for path in ending("POST", "/upload") {
            ids.push(upload(&deployment.alice(), &path, picture.clone()).await);
        }
        assert_eq!(ids.len(), 6, "{ids:?}");

        let mut thumbnails = Vec::new();
        for id in &ids {
            for endpoint in for_clients("/download/") {
                let answer = deployment.alice().get(&endpoint.of(id)).await;
                assert_eq!(answer.header("content-type"), "image/jpeg", "{endpoint:?}");
                assert!(answer.ok() == picture, "{endpoint:?}");
            }
            for endpoint in for_clients("/thumbnail/") {
                let path = format!("{}?width=96&height=96&method=crop", endpoint.of(id));
                thumbnails.push(deployment.alice().get(&path).await.ok());
            }
        }
        assert_eq!(jpeg_size(&thumbnails[0]), Some((96, 96)));
        assert!(thumbnails.iter().all(|thumbnail| *thumbnail == thumbnails[0]), "thumbnails differ by path");

        for endpoint in paths("GET", "/federation/").into_iter().filter(|endpoint| endpoint.path.contains("{media_id}")) {
            let path = format!("{}?width=96&height=96&method=crop", endpoint.of(&ids[0]));
            let answer = peer.get(&deployment, &path).await;
            let is_plain = endpoint.path.contains("remote_media");
            let content = if endpoint.path.contains("thumbnail") { &thumbnails[0][..] } else { &picture };
            let kind = if is_plain { "image/jpeg" } else { "multipart/mixed; boundary=" };
            assert!(answer.header("content-type").starts_with(kind), "{path}: {answer:?}");
            let body = answer.ok();
            assert!(body.windows(content.len()).any(|part| part == content), "{path}: other bytes");
            assert_eq!(body.len() == content.len(), is_plain, "{path}");
        }
    }

    async fn what_was_created_by_any_path_is_filled_by_every_path(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let creates = ending("POST", "/create");
        let puts = paths("PUT", "/upload/{server_name}/{media_id}");
        let completes = paths("POST", "/complete");
        assert_eq!((creates.len(), puts.len(), completes.len()), (6, 4, 4));

        for (nth, create) in creates.iter().enumerate() {
            let id = id_of(&alice.ask(Method::POST, create).await);
            let complete = &completes[nth % completes.len()];
            // Nothing is at the upload URL, since there is none yet.
            alice.ask(Method::POST, &complete.of(&id)).await.refused(400, "M_NOT_YET_UPLOADED");
            let put = puts[nth % puts.len()].of(&id);
            let filled = Answer::of(alice.request(Method::PUT, &put).body("hello")).await;
            assert_eq!((filled.status.as_u16(), filled.json()), (200, json!({})), "{create} {put}");
            assert_eq!(alice.download(&id).await.ok(), "hello");
            alice.ask(Method::POST, &complete.of(&id)).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
            alice.ask(Method::PUT, &put).await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
        }
    }

    async fn limits_and_usage_are_told_by_every_path(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        deployment.alice().upload("hello", "text/plain").await;

        let configs = ending("GET", "/config");
        assert_eq!(configs.len(), 8);
        for path in configs {
            let answer = deployment.alice().get(&path).await;
            assert!(answer.json()["m.upload.size"].is_u64(), "{path}: {answer:?}");
        }
        let usage = async |path: &str| deployment.alice().get(path).await.json();
        assert_eq!(
            usage("/_matrix/media/unstable/org.matrix.msc4034/usage").await,
            json!({"org.matrix.msc4034.storage.used": 5, "org.matrix.msc4034.storage.files": 1})
        );
        assert_eq!(usage("/_matrix/media/v3/usage").await, json!({"m.storage.used": 5, "m.storage.files": 1}));
    }

    async fn head_says_what_get_says_and_sends_nothing(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        deployment.homeserver.publish("/.well-known/matrix/client", 200, "", json!({"m.homeserver": {"base_url": "https://media.test"}}));
        deployment.homeserver.publish("/.well-known/matrix/server", 200, "", json!({"m.server": "media.test:443"}));
        let id = deployment.alice().upload(jpeg(400, 300), "image/jpeg").await;
        let missing = "media.test/nobody";

        for endpoint in endpoints().into_iter().filter(Endpoint::is_read) {
            for id in [id.as_str(), missing] {
                let path = format!("{}?width=96&height=96&method=crop&limit=9", endpoint.of(id));
                let get = ask(&deployment, &peer, &endpoint, Method::GET, &path).await;
                let head = ask(&deployment, &peer, &endpoint, Method::HEAD, &path).await;

                assert_eq!(head.status, get.status, "{path}");
                assert_eq!(lasting_headers(&head), lasting_headers(&get), "{path}");
                assert_eq!(head.body, "", "{path}");
                assert_cors(&head, &path);
            }
        }
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(&format!("HEAD /_matrix/client/v1/media/download/{id}"), "alice-token", "Connection: close\r\n").await;
        let got = wire.read_until(|_| false).await;
        assert!(got.ends_with(b"\r\n\r\n"), "a body came: {}", String::from_utf8_lossy(&got));
    }

    async fn without_legacy_media_nobody_gets_any_without_a_token(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "legacy_media", false).start().await;
        let id = deployment.alice().upload(jpeg(40, 30), "image/jpeg").await;

        let mut old = paths("GET", "/download/");
        old.extend(paths("GET", "/thumbnail/"));
        old.retain(|endpoint| endpoint.callers == "anyone");
        assert_eq!(old.len(), 18);
        for endpoint in old {
            for client in [deployment.stranger(), deployment.alice()] {
                client.get(&endpoint.of(&id)).await.refused(404, "M_UNRECOGNIZED");
                client.ask(Method::POST, &endpoint.of(&id)).await.refused(404, "M_UNRECOGNIZED");
            }
        }
        assert_eq!(deployment.alice().download(&id).await.status, 200);
        assert_eq!(deployment.alice().get("/_matrix/media/v3/config").await.status, 200);
        deployment.alice().get("/_matrix/client/r0/media/config").await.refused(404, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn the_paths_of_msc1902_are_switched_off_alone() {
    let deployment = Setup::new(Shape::One).set("api", "msc1902_paths", false).start().await;
    let id = deployment.alice().upload("hello", "text/plain").await;

    for tree in ["r0", "v3", "unstable/org.matrix.msc1902"] {
        for path in [format!("download/{id}"), format!("thumbnail/{id}"), "config".to_owned(), "preview_url".to_owned()]
        {
            deployment
                .alice()
                .get(&format!("/_matrix/client/{tree}/media/{path}"))
                .await
                .refused(404, "M_UNRECOGNIZED");
        }
    }
    assert_eq!(deployment.stranger().get(&format!("/_matrix/media/r0/download/{id}")).await.ok(), "hello");
}

#[tokio::test]
async fn what_is_no_path_is_unrecognized() {
    let deployment = Setup::new(Shape::One).start().await;
    let id = deployment.alice().upload("hello", "text/plain").await;
    let more =
        [format!("/_matrix/client/v1/media/download/{id}/name/more"), format!("/_matrix/media/v3/thumbnail/{id}/name")];
    let nowhere = [
        "/",
        "/_matrix",
        "/_matrix/client/v1/media/unknown",
        "/_matrix/media/unknown",
        "/_matrix/media/v3/unknown",
        "/_matrix/media/v2/upload",
        "/_matrix/federation/v1/media/unknown",
        "/_synapse/admin/v1/unknown",
    ];

    for path in nowhere.into_iter().chain(more.iter().map(String::as_str)) {
        for method in [Method::GET, Method::POST] {
            let answer = deployment.alice().ask(method, path).await;
            answer.refused(404, "M_UNRECOGNIZED");
            assert_cors(&answer, path);
        }
    }
    // A file name may be empty.
    assert_eq!(deployment.alice().download(&format!("{id}/")).await.ok(), "hello");
}
