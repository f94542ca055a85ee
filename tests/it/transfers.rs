//! Transfers from other servers that break off, drip, or are spared for a thumbnail of the origin.

mod resumed;
mod tenants;
mod thumbnails;

use std::sync::{Arc, Mutex};

use heliograph_tests::{Client, Deployment, Peer, Request, Server, answer_json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";

/// What a server does with a connection after it has read a request.
type Play = dyn Fn(&Request) -> Answered + Send + Sync;

/// One answer.
enum Answered {
    /// These bytes, then the end.
    Sends(Vec<u8>),
    /// These bytes, then nothing for ever.
    Stands(Vec<u8>),
    /// These bytes, then one now and then for ever.
    Drips(Vec<u8>),
    /// It has no such thing.
    Refuses(u16, &'static str),
}

/// A server of the federation whose media are a test's own.
struct Elsewhere {
    peer: Peer,
    requests: Arc<Mutex<Vec<Request>>>,
    _server: Server,
}

impl Elsewhere {
    async fn start(play: impl Fn(&Request) -> Answered + Send + Sync + 'static) -> Self {
        let (requests, play): (Arc<Mutex<Vec<Request>>>, Arc<Play>) = (Arc::default(), Arc::new(play));
        let seen = Arc::clone(&requests);
        let server = Server::start(move |request, stream| {
            let answered = play(&request);
            seen.lock().unwrap().push(request);
            send(answered, stream)
        })
        .await;
        Self { peer: Peer::with_media(server.address()).await, requests, _server: server }
    }

    fn id(&self, media_id: &str) -> String {
        format!("{}/{media_id}", self.peer.name())
    }

    /// The requests whose path contains `part`.
    fn asked(&self, part: &str) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| request.path().contains(part)).cloned().collect()
    }
}

async fn send(answered: Answered, mut to: TcpStream) {
    // Whoever has asked may leave: the test sees that by itself.
    match answered {
        Answered::Refuses(status, errcode) => {
            let body = format!("{{\"errcode\": \"{errcode}\", \"error\": \"no\"}}");
            return answer_json(to, status, "", &body).await;
        }
        Answered::Sends(bytes) => drop(to.write_all(&bytes).await),
        Answered::Stands(bytes) => {
            drop(to.write_all(&bytes).await);
            std::future::pending::<()>().await;
        }
        Answered::Drips(bytes) => {
            drop(to.write_all(&bytes).await);
            while to.write_all(b"x").await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
    let _ = to.shutdown().await;
}

/// A whole answer, or only its first bytes: it says that it has `length` all the same.
fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// An answer of the federation endpoint with the first `sent` bytes of `file`, or all of it.
fn multipart(kind: &str, file: &[u8], sent: Option<usize>) -> Vec<u8> {
    let before = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n"
    );
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let whole = [before.as_bytes(), file, after.as_bytes()].concat();
    let sent = sent.map_or(whole.len(), |sent| before.len() + sent);
    answer("200 OK", &format!("Content-Type: multipart/mixed; boundary={BOUNDARY}\r\n"), whole.len(), &whole[..sent])
}

/// An answer of the federation endpoint that says where the file is.
fn location(url: &str) -> Vec<u8> {
    let body = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nLocation: {url}\r\n\r\n\r\n--{BOUNDARY}--\r\n"
    );
    let headers = format!("Content-Type: multipart/mixed; boundary={BOUNDARY}\r\n");
    answer("200 OK", &headers, body.len(), body.as_bytes())
}

/// The sum of a metric over all processes.
async fn count(deployment: &Deployment, name: &str, label: &str) -> u64 {
    let mut sum = 0;
    for address in deployment.health_addresses() {
        sum += Client::plain(address, "").count(name, label).await;
    }
    sum
}
