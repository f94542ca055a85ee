//! Another server whose one file arrives slowly.

use std::sync::{Arc, Mutex};

use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore};

use crate::{Peer, Request, Server, answer_json};

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";

/// How the file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In two parts, to servers that sign. How long the file itself is, is not said.
    Signed,
    /// As it is, as servers did before version 1.11.
    Legacy,
    /// So, by a program that does not know how long it is.
    Endless,
}

/// A server that sends half of its one file, and the rest when it is told to.
#[derive(Debug)]
pub struct Origin {
    /// The server.
    pub peer: Peer,
    go_on: Arc<Semaphore>,
    requests: Arc<Mutex<Vec<Request>>>,
    _server: Server,
}

impl Origin {
    /// A server of today.
    pub async fn start(file: &[u8]) -> Self {
        Self::of_type(file, "video/mp4").await
    }

    /// The same, with a file of this type.
    pub async fn of_type(file: &[u8], kind: &'static str) -> Self {
        Self::build(file, kind, Form::Signed).await
    }

    /// An old one, which says how long its file is.
    pub async fn legacy(file: &[u8]) -> Self {
        Self::build(file, "video/mp4", Form::Legacy).await
    }

    /// An old one, which does not.
    pub async fn legacy_without_length(file: &[u8]) -> Self {
        Self::build(file, "video/mp4", Form::Endless).await
    }

    async fn build(file: &[u8], kind: &'static str, form: Form) -> Self {
        let (go_on, requests) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (wait, seen, file) = (Arc::clone(&go_on), Arc::clone(&requests), Arc::new(file.to_vec()));
        let server = Server::start(move |request, stream| {
            let (wait, file) = (Arc::clone(&wait), Arc::clone(&file));
            let is_known = form == Form::Signed || request.path().starts_with("/_matrix/media/");
            seen.lock().unwrap().push(request);
            async move {
                if is_known {
                    send_in_halves(stream, file, (kind, form), wait).await;
                } else {
                    say_unknown(stream).await;
                }
            }
        })
        .await;
        Self { peer: Peer::with_media(server.address()).await, go_on, requests, _server: server }
    }

    /// Lets so many answers go on.
    pub fn go_on(&self, answers: usize) {
        self.go_on.add_permits(answers);
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Its file.
    pub fn id(&self) -> String {
        format!("{}/abc", self.peer.name())
    }
}

async fn say_unknown(to: TcpStream) {
    answer_json(to, 404, "", r#"{"errcode": "M_UNRECOGNIZED", "error": "no such endpoint"}"#).await;
}

async fn send_in_halves(
    mut to: TcpStream,
    file: Arc<Vec<u8>>,
    (kind, form): (&'static str, Form),
    wait: Arc<Semaphore>,
) {
    let (sent_as, before, after) = match form {
        Form::Signed => (
            format!("multipart/mixed; boundary={BOUNDARY}"),
            format!(
                "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n"
            ),
            format!("\r\n--{BOUNDARY}--\r\n"),
        ),
        Form::Legacy | Form::Endless => (kind.to_owned(), String::new(), String::new()),
    };
    let length = match form {
        Form::Endless => String::new(),
        _ => format!("Content-Length: {}\r\n", before.len() + file.len() + after.len()),
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {sent_as}\r\n{length}Connection: close\r\n\r\n");
    let (first, rest) = file.split_at(file.len() / 2);
    // Whoever has asked may leave: the test sees that by itself.
    let _ = to.write_all(&[head.as_bytes(), before.as_bytes(), first].concat()).await;
    wait.acquire().await.unwrap().forget();
    let _ = to.write_all(&[rest, after.as_bytes()].concat()).await;
    let _ = to.shutdown().await;
}
