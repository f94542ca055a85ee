//! Another server, behind TLS: signs requests, and has media of which some are nonsense.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{Authority, Homeserver, Nginx, Request, Server, Site, free_port};

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";

/// The server, and all that it stands on.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) key: Key,
    _homeserver: Homeserver,
    _media: Server,
    _nginx: Nginx,
}

/// What signs in its name.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    id: String,
    key: SigningKey,
}

impl Origin {
    pub(crate) async fn start(folder: &Path, authority: &Authority) -> Self {
        let name = format!("127.0.0.3:{}", free_port());
        let homeserver = Homeserver::start(&name).await;
        let file = folder.join("origin.key");
        homeserver.write_key(&file);
        let media = Server::start(answer).await;
        let keys = Site::location("/_matrix/key/", homeserver.url().strip_prefix("http://").unwrap());
        let site = Site::named(&name, keys + &Site::location("/", &media.address().to_string()));
        let nginx = Nginx::start(&folder.join("nginx"), authority, &[site]).await;
        Self { name, key: Key::read(&file), _homeserver: homeserver, _media: media, _nginx: nginx }
    }
}

impl Key {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let [algorithm, version, seed] = text.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let seed = STANDARD_NO_PAD.decode(seed).unwrap();
        Self { id: format!("{algorithm}:{version}"), key: SigningKey::from_bytes(&seed.try_into().unwrap()) }
    }

    /// The header that proves a request to come from `origin`. Maps of `serde_json` are
    /// sorted: this is the canonical form.
    pub(crate) fn sign(&self, origin: &str, method: &str, target: &str) -> String {
        let request = json!({"destination": "media.test", "method": method, "origin": origin, "uri": target});
        let signature = STANDARD_NO_PAD.encode(self.key.sign(request.to_string().as_bytes()).to_bytes());
        format!(r#"X-Matrix origin="{origin}",destination="media.test",key="{}",sig="{signature}""#, self.id)
    }
}

/// What the media of this server are: the type, the headers of the part, the content.
const MEDIA: [(&str, &str, &str); 6] = [
    ("plain", "Content-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n", "hello"),
    (
        "names",
        "Content-Type: text/html\r\nContent-Disposition: x; filename*=utf-8''%0d%0aSet-Cookie:%20a=b%00%f0%9f%8e%83\r\n",
        "<script>",
    ),
    ("types", "Content-Type: image/png\x0b; a=\"\u{e4}\r\nContent-Disposition: \u{1}\"; filename=\"\\\r\n", "x"),
    ("none", "", ""),
    ("away", "Location: http://127.0.0.1:1/nowhere\r\n", ""),
    ("odd", "X-Odd: \r\nLocation: gopher://x\r\nContent-Type: a/b\r\n", "y"),
];

async fn answer(request: Request, stream: TcpStream) {
    let path = request.target().split('?').next().unwrap_or_default().to_owned();
    let id = path.rsplit('/').next().unwrap_or_default();
    let known = MEDIA.iter().find(|(name, ..)| *name == id);
    let part = |headers: &str, content: &str| {
        format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\n{headers}\r\n{content}\r\n--{BOUNDARY}--\r\n"
        )
    };
    let mixed = format!("multipart/mixed; boundary={BOUNDARY}");
    let (status, kind, body) = match (known, id) {
        (Some((_, headers, content)), _) => (200, mixed.as_str(), part(headers, content)),
        (None, "late") => (504, "application/json", r#"{"errcode":"M_NOT_YET_UPLOADED","error":"x"}"#.to_owned()),
        (None, "bare") => (200, "text/html", "<p>".to_owned()),
        (None, "half") => (200, mixed.as_str(), format!("--{BOUNDARY}\r\n\r\n{{")),
        (None, "busy") => (429, "application/json", r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1}"#.to_owned()),
        (None, "sick") => (500, "text/plain", String::new()),
        (None, _) => (404, "application/json", r#"{"errcode":"M_NOT_FOUND","error":"x"}"#.to_owned()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut stream = stream;
    // Whoever has asked may be gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
