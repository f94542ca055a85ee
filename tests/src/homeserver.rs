//! The stand-in for a homeserver: knows whose token it is and who administrates, logs out,
//! publishes a signing key and whatever else the test wants.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::server::{Request, Server, answer_json};

const KEY_ID: &str = "ed25519:a_test";

/// How the homeserver feels today.
#[derive(Debug, Clone, Default)]
pub enum Mood {
    /// Answers as it should.
    #[default]
    Well,
    /// Answers every question about a token like this.
    Says(u16, Value),
}

/// What it answers under a path, whoever asks.
#[derive(Debug, Clone)]
struct Published {
    status: u16,
    headers: String,
    body: Value,
}

#[derive(Debug, Default)]
struct State {
    name: String,
    mood: Mood,
    /// What it says of whoever has the token; nothing of the bridge.
    tokens: HashMap<String, Value>,
    administrators: HashSet<String>,
    published: HashMap<String, Published>,
    asked: usize,
    requests: Vec<String>,
}

/// A homeserver of one server name, with two users, a guest and a bridge.
#[derive(Debug)]
pub struct Homeserver {
    name: String,
    key: SigningKey,
    state: Arc<Mutex<State>>,
    server: Server,
}

impl Homeserver {
    /// Starts one. The tokens `alice-token`, `bob-token` and `guest-token` are valid, and so is
    /// `bridge-token`, which may act for every user whose name begins with `bridge`. Alice is
    /// the administrator.
    pub async fn start(name: &str) -> Self {
        let key = SigningKey::from_bytes(&rand::random());
        let tokens = [("alice", false), ("bob", false), ("guest", true)].map(|(user, guest)| {
            (
                format!("{user}-token"),
                json!({"user_id": format!("@{user}:{name}"), "device_id": "D", "is_guest": guest}),
            )
        });
        let state = State {
            name: name.to_owned(),
            tokens: tokens.into_iter().chain([("bridge-token".to_owned(), Value::Null)]).collect(),
            administrators: HashSet::from([format!("@alice:{name}")]),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let document = key_document(name, &key);
        let shared = Arc::clone(&state);
        let server = Server::start(move |request, stream| {
            let Published { status, headers, body } = shared.lock().unwrap().respond(&document, &request);
            async move { answer_json(stream, status, &headers, &body.to_string()).await }
        })
        .await;
        Self { name: name.to_owned(), key, state, server }
    }

    /// Its server name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base URL of its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Changes how it answers about tokens.
    pub fn feels(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Adds a user `@name:server`, whose token is `<name>-token`.
    pub fn register(&self, user: &str) {
        let whoami = json!({"user_id": format!("@{user}:{}", self.name), "device_id": "D", "is_guest": false});
        self.state.lock().unwrap().tokens.insert(format!("{user}-token"), whoami);
    }

    /// Gives a user one more token.
    pub fn give(&self, user: &str, token: &str) {
        let mut state = self.state.lock().unwrap();
        let whoami = state.tokens[&format!("{user}-token")].clone();
        state.tokens.insert(token.to_owned(), whoami);
    }

    /// Answers like this under a path, in place of what it did; `headers` end with a line
    /// break each.
    pub fn publish(&self, path: &str, status: u16, headers: &str, body: Value) {
        let published = Published { status, headers: headers.to_owned(), body };
        self.state.lock().unwrap().published.insert(path.to_owned(), published);
    }

    /// The first lines of all requests that came so far and begin so.
    pub fn requests(&self, beginning: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|line| line.starts_with(beginning)).cloned().collect()
    }

    /// The `Authorization` header of a request without a body, signed with its key.
    pub fn sign(&self, method: &str, target: &str, destination: &str) -> String {
        let origin = &self.name;
        let request = json!({"method": method, "uri": target, "origin": origin, "destination": destination});
        let signature = self.signature(&request);
        format!("X-Matrix origin=\"{origin}\",destination=\"{destination}\",key=\"{KEY_ID}\",sig=\"{signature}\"")
    }

    /// The signature of a JSON object with its key.
    pub fn signature(&self, object: &Value) -> String {
        signature(&self.key, object)
    }

    /// The signed document with its key.
    pub fn key_document(&self) -> Value {
        key_document(&self.name, &self.key)
    }

    /// From now on the token is not valid.
    pub fn revoke(&self, token: &str) {
        self.state.lock().unwrap().tokens.remove(token);
    }

    /// How often it was asked about a token.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// Writes the signing key as Dendrite does.
    pub fn write_key_as_dendrite(&self, file: &Path) {
        let seed = STANDARD.encode(self.key.to_bytes());
        let (begin, end) = ("-----BEGIN MATRIX PRIVATE KEY-----", "-----END MATRIX PRIVATE KEY-----");
        std::fs::write(file, format!("{begin}\nKey-ID: {KEY_ID}\n\n{seed}\n{end}\n")).unwrap();
    }

    /// Writes the signing key as Synapse does.
    pub fn write_key(&self, file: &Path) {
        let (_, version) = KEY_ID.split_once(':').unwrap();
        let seed = STANDARD_NO_PAD.encode(self.key.to_bytes());
        std::fs::write(file, format!("ed25519 {version} {seed}\n")).unwrap();
    }
}

impl State {
    fn respond(&mut self, document: &Value, request: &Request) -> Published {
        self.requests.push(request.line.clone());
        let path = request.path();
        if let Some(published) = self.published.get(path) {
            return published.clone();
        }
        let (status, body) = match path {
            "/_matrix/key/v2/server" => (200, document.clone()),
            "/_matrix/client/v3/account/whoami" => self.who_am_i(request),
            "/_matrix/client/versions" => self.versions(request),
            "/_matrix/client/v3/logout" => self.log_out(request, false),
            "/_matrix/client/v3/logout/all" => self.log_out(request, true),
            _ if path.starts_with("/_synapse/admin/v1/users/") && path.ends_with("/admin") => self.is_admin(request),
            _ => (404, json!({"errcode": "M_UNRECOGNIZED", "error": "no such endpoint"})),
        };
        Published { status, headers: String::new(), body }
    }

    fn who_am_i(&mut self, request: &Request) -> (u16, Value) {
        self.asked += 1;
        if let Mood::Says(status, body) = &self.mood {
            return (*status, body.clone());
        }
        match token(request).and_then(|token| self.tokens.get(token)) {
            Some(Value::Null) => self.who_is_the_bridge(request),
            Some(user) => (200, user.clone()),
            None => unknown_token(),
        }
    }

    /// An application service acts for whom its request names, and has no device.
    fn who_is_the_bridge(&self, request: &Request) -> (u16, Value) {
        let query = request.target().split_once('?').map_or("", |(_, query)| query);
        let named = query.split('&').find_map(|pair| pair.strip_prefix("user_id=")).map(decoded);
        let user = named.unwrap_or_else(|| format!("@bridge:{}", self.name));
        if user.starts_with("@bridge") {
            return (200, json!({"user_id": user}));
        }
        (403, json!({"errcode": "M_FORBIDDEN", "error": "not a user of this application service"}))
    }

    /// A token is not needed, but one that is wrong is refused: as Synapse does it.
    fn versions(&self, request: &Request) -> (u16, Value) {
        match token(request) {
            Some(token) if !self.tokens.contains_key(token) => unknown_token(),
            _ => (200, json!({"versions": ["v1.11"]})),
        }
    }

    fn log_out(&mut self, request: &Request, everywhere: bool) -> (u16, Value) {
        let Some(user) = token(request).and_then(|token| self.tokens.remove(token)) else { return unknown_token() };
        if everywhere {
            self.tokens.retain(|_, other| other["user_id"] != user["user_id"]);
        }
        (200, json!({}))
    }

    /// Only administrators may ask, as at Synapse.
    fn is_admin(&self, request: &Request) -> (u16, Value) {
        let Some(user) = token(request).and_then(|token| self.tokens.get(token)) else { return unknown_token() };
        if user["user_id"].as_str().is_some_and(|user| self.administrators.contains(user)) {
            return (200, json!({"admin": true}));
        }
        (403, json!({"errcode": "M_FORBIDDEN", "error": "You are not a server admin"}))
    }
}

fn token(request: &Request) -> Option<&str> {
    request.header("authorization").and_then(|value| value.strip_prefix("Bearer "))
}

fn unknown_token() -> (u16, Value) {
    (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "unknown token"}))
}

/// User ids have no other characters that are escaped.
fn decoded(text: &str) -> String {
    text.replace("%40", "@").replace("%3A", ":").replace("%2F", "/")
}

/// The signed document with the public key.
fn key_document(name: &str, key: &SigningKey) -> Value {
    let public = STANDARD_NO_PAD.encode(key.verifying_key().to_bytes());
    let mut document = json!({
        "server_name": name,
        "valid_until_ts": 4_102_444_800_000_u64,
        "verify_keys": {KEY_ID: {"key": public}},
        "old_verify_keys": {},
    });
    document["signatures"] = json!({name: {KEY_ID: signature(key, &document)}});
    document
}

/// Maps of `serde_json` are sorted, so the text of one without floats and escapes is its
/// canonical form.
fn signature(key: &SigningKey, object: &Value) -> String {
    STANDARD_NO_PAD.encode(key.sign(object.to_string().as_bytes()).to_bytes())
}
