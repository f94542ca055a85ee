//! Heliograph with media of every kind, and another server that signs.

use std::{
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use toml::Value;

use super::{
    origin::{Key, Origin},
    rules::SECRET,
};
use crate::{Answer, Authority, Client, Deployment, Setup, Shape, jpeg, noise};

/// What the server may have in memory at the end.
const MOST_MEMORY: u64 = 200 << 20;

/// And how long it may take until nothing of what broke off is left.
const SETTLES: Duration = Duration::from_secs(20);

/// What fills the gaps of templates.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    ids: Vec<(&'static str, String)>,
    origin: String,
    key: Key,
}

pub(crate) type SharedValues = Arc<RwLock<Values>>;

impl Values {
    /// The value for a gap, if it may stand behind these bytes. Tokens stand only where
    /// tokens stand: elsewhere they would come back, and rightly.
    pub(crate) fn find(&self, name: &str, before: &[u8]) -> Option<String> {
        match name {
            "alice" | "bob" | "guest" => may_hold_a_token(before).then(|| format!("{name}{SECRET}")),
            "remote" => Some(self.origin.clone()),
            _ => self.ids.iter().find(|(key, _)| *key == name).map(|(_, id)| id.clone()),
        }
    }

    pub(crate) fn sign(&self, method: &str, target: &str) -> String {
        self.key.sign(&self.origin, method, target)
    }
}

fn may_hold_a_token(before: &[u8]) -> bool {
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let in_header = line.to_ascii_lowercase().starts_with(b"authorization:");
    let in_query = [b"?access_token=".as_slice(), b"&access_token="].iter().any(|name| line.ends_with(name));
    in_header || (in_query && line.contains(&b'?'))
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Scene {
    deployment: Deployment,
    values: SharedValues,
    _origin: Origin,
    _folder: TempDir,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let origin = Origin::start(folder.path(), &authority).await;
        let deployment = setup(&authority).start().await;
        // Whoever is logged out for good would have nothing more to find.
        for path in ["/_matrix/client/v3/logout", "/_matrix/client/v3/logout/all"] {
            deployment.homeserver.publish(path, 200, "", json!({}));
        }
        let client = json!({ "m.homeserver": { "base_url": "https://media.test" } });
        deployment.homeserver.publish("/.well-known/matrix/client", 200, "", client);
        deployment.homeserver.publish("/.well-known/matrix/server", 200, "", json!({ "m.server": "media.test:443" }));
        let values = Values { ids: Vec::new(), origin: origin.name.clone(), key: origin.key.clone() };
        let mut scene = Self { deployment, values: Arc::new(RwLock::new(values)), _origin: origin, _folder: folder };
        scene.refresh().await;
        scene
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.deployment.address()
    }

    pub(crate) fn values(&self) -> SharedValues {
        Arc::clone(&self.values)
    }

    /// Media of every kind, made anew: the old ones may have been deleted, or filled.
    pub(crate) async fn refresh(&mut self) {
        let (alice, bob) = (self.deployment.alice(), self.deployment.bob());
        let upload = async |client: &Client, query: &str, kind: &str, body: Vec<u8>| {
            let path = format!("/_matrix/media/v3/upload?filename={query}");
            let request = client.request(Method::POST, &path).header("content-type", kind).body(body);
            id(&Answer::of(request).await).expect("an upload of the fuzzer itself succeeds")
        };
        let mut ids = vec![
            ("text", upload(&alice, "a.txt", "text/plain", b"0123456789".to_vec()).await),
            ("jpeg", upload(&alice, "%F0%9F%8E%83%0D%0Ax.jpg", "image/jpeg", jpeg(64, 48)).await),
            ("empty", upload(&bob, "", "a/b", Vec::new()).await),
            ("large", upload(&bob, "50%25%22.html", "text/html", noise(600_000, 1)).await),
            ("quarantined", upload(&alice, "q", "image/png", noise(100, 2)).await),
        ];
        let path = format!("/_synapse/admin/v1/media/quarantine/media.test/{}", ids[4].1);
        // An administrator among the requests may have deleted it by now.
        bob.post(&path, &json!({})).await;
        // Others may have taken all the places for such ids.
        for (name, client) in [("pending", &alice), ("foreign", &bob)] {
            ids.extend(id(&client.try_create().await).map(|id| (name, id)));
        }
        let mut values = self.values.write().unwrap();
        let old = std::mem::take(&mut values.ids);
        let kept: Vec<_> = old.into_iter().filter(|(name, _)| ids.iter().all(|(other, _)| name != other)).collect();
        values.ids = ids.into_iter().chain(kept).collect();
    }

    /// Whether the server is well after all that: what holds, and what does not.
    pub(crate) async fn check_the_end(&mut self) -> Vec<Result<String, String>> {
        let alice = self.deployment.alice();
        let ready = alice.get("/readyz").await;
        let id = alice.upload("the end", "text/plain").await;
        let back = alice.download(&id).await;
        let deadline = Instant::now() + SETTLES;
        while self.deployment.uploads_in_progress().await > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let left = self.deployment.uploads_in_progress().await;
        let process = self.deployment.api();
        let ended = process.try_status();
        let (memory, peak) = (process.memory("VmRSS:"), process.memory("VmHWM:"));
        let log = process.log();
        if let Some(file) = std::env::var_os("FUZZ_LOG") {
            std::fs::write(file, &log).unwrap();
        }
        let line = |what: &str| log.lines().find(|line| line.contains(what)).map(str::to_owned);
        let without = |what: &str| line(what).map_or(Ok(format!("no {what} in the log")), Err);
        let holds = |what: bool, said: String| if what { Ok(said) } else { Err(said) };
        vec![
            holds(ended.is_none(), format!("ended: {ended:?}")),
            holds(ready.status == 200, format!("ready: {}", ready.status)),
            holds(back.status == 200 && back.body == "the end", format!("a download at the end: {}", back.status)),
            holds(memory < MOST_MEMORY, format!("{} MiB of memory, {} at most", memory >> 20, peak >> 20)),
            holds(left == 0, format!("uploads that do not end: {left}")),
            without("panicked"),
            without("\"level\":\"ERROR\""),
            without(SECRET),
        ]
    }
}

fn id(answer: &Answer) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    Some(answer["content_uri"].as_str()?.rsplit('/').next()?.to_owned())
}

/// Nothing hides behind a limit, nobody waits for long, and nothing leaves the machine.
fn setup(authority: &Authority) -> Setup {
    let list = |words: &[&str]| Value::Array(words.iter().map(|word| Value::from(*word)).collect());
    let mut setup = Setup::new(Shape::One).trusts(&authority.file());
    for limit in
        ["user_uploads", "user_upload_bytes", "user_creates", "user_fetches", "user_fetch_bytes", "user_renders"]
    {
        setup = setup.set("limits", limit, "unlimited");
    }
    for limit in ["address_requests", "address_fetches", "address_fetch_bytes", "address_renders"] {
        setup = setup.set("limits", limit, "unlimited");
    }
    for limit in ["origin_requests", "origin_bytes", "origin_renders"] {
        setup = setup.set("limits", limit, "unlimited");
    }
    setup
        .set("redirects", "to", "self")
        .set("redirects", "base_url", "https://media.test")
        .set("redirects", "secret", "a-secret-of-tests-that-is-long-enough")
        .set("api", "administrators", list(&["@bob:media.test"]))
        .set("api", "max_wait", "200ms")
        .set("api", "body_timeout", "500ms")
        .set("uploads", "max_bytes", "2 MiB")
        .set("uploads", "max_pending_per_user", 100)
        .set("uploads", "unused_lifetime", "6s")
        .set("uploads", "sweep_interval", "2s")
        .set("federation", "deny_addresses", list(&["0.0.0.0/0", "::/0"]))
        .set("federation", "connect_timeout", "300ms")
        .set("federation", "backoff_min", "10ms")
        .set("federation", "backoff_max", "50ms")
        .set("federation", "remember_missing", "100ms")
        .set("federation", "remember_failed", "100ms")
        .set("telemetry", "log_format", "json")
}
