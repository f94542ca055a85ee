//! The stand-in for a homeserver: knows whose token it is, and publishes a signing key.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
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

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    tokens: HashMap<String, Value>,
    asked: usize,
}

/// A homeserver of one server name, with two users and a guest.
#[derive(Debug)]
pub struct Homeserver {
    name: String,
    key: SigningKey,
    state: Arc<Mutex<State>>,
    server: Server,
}

impl Homeserver {
    /// Starts one. The tokens `alice-token`, `bob-token` and `guest-token` are valid.
    pub async fn start(name: &str) -> Self {
        let key = SigningKey::from_bytes(&rand::random());
        let tokens = [("alice", false), ("bob", false), ("guest", true)].map(|(user, guest)| {
            (
                format!("{user}-token"),
                json!({"user_id": format!("@{user}:{name}"), "device_id": "D", "is_guest": guest}),
            )
        });
        let state = Arc::new(Mutex::new(State { tokens: HashMap::from(tokens), ..State::default() }));
        let document = key_document(name, &key);
        let shared = Arc::clone(&state);
        let server = Server::start(move |request, stream| {
            let (status, body) = respond(&shared, &document, &request);
            async move { answer_json(stream, status, &body.to_string()).await }
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

    /// From now on the token is not valid.
    pub fn revoke(&self, token: &str) {
        self.state.lock().unwrap().tokens.remove(token);
    }

    /// How often it was asked about a token.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// Writes the signing key as Synapse does.
    pub fn write_key(&self, file: &Path) {
        let (_, version) = KEY_ID.split_once(':').unwrap();
        let seed = STANDARD_NO_PAD.encode(self.key.to_bytes());
        std::fs::write(file, format!("ed25519 {version} {seed}\n")).unwrap();
    }
}

fn respond(state: &Mutex<State>, document: &Value, request: &Request) -> (u16, Value) {
    match request.target().split('?').next().unwrap_or_default() {
        "/_matrix/key/v2/server" => (200, document.clone()),
        "/_matrix/client/v3/account/whoami" => who_am_i(&mut state.lock().unwrap(), request),
        "/_matrix/client/versions" => (200, json!({"versions": ["v1.11"]})),
        _ => (404, json!({"errcode": "M_UNRECOGNIZED", "error": "no such endpoint"})),
    }
}

fn who_am_i(state: &mut State, request: &Request) -> (u16, Value) {
    state.asked += 1;
    if let Mood::Says(status, body) = &state.mood {
        return (*status, body.clone());
    }
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| state.tokens.get(token)) {
        Some(user) => (200, user.clone()),
        None => (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "unknown token"})),
    }
}

/// The signed document with the public key. Maps of `serde_json` are sorted, so the text of
/// one without floats and escapes is its canonical form.
fn key_document(name: &str, key: &SigningKey) -> Value {
    let public = STANDARD_NO_PAD.encode(key.verifying_key().to_bytes());
    let mut document = json!({
        "server_name": name,
        "valid_until_ts": 4_102_444_800_000_u64,
        "verify_keys": {KEY_ID: {"key": public}},
        "old_verify_keys": {},
    });
    let signature = STANDARD_NO_PAD.encode(key.sign(document.to_string().as_bytes()).to_bytes());
    document["signatures"] = json!({name: {KEY_ID: signature}});
    document
}
