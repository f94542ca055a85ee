//! The smallest HTTP server that can play another server's part: one request per
//! connection, and the answer is written byte by byte by whoever plays.

use std::{net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The head of a request. Nobody sends a body here.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first line, such as `GET /path?query HTTP/1.1`.
    pub line: String,
    /// The other lines.
    pub headers: Vec<String>,
}

impl Request {
    /// The path with its query.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.headers.iter().filter_map(|line| line.split_once(": "));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// What the server does with a request and its connection.
type Play = Arc<dyn Fn(Request, TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Answers on loopback until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts on a port of its own.
    pub async fn start<F>(play: impl Fn(Request, TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let play: Play = Arc::new(move |request, stream| Box::pin(play(request, stream)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, play));
        Self { address, _tasks: tasks }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, play: Play) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, Arc::clone(&play)));
    }
}

async fn converse(mut stream: TcpStream, play: Play) {
    if let Some(request) = read_request(&mut stream).await {
        play(request, stream).await;
    }
}

/// The head of the next request; `None` if the other side leaves before its end.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
    let line = lines.next().unwrap_or_default();
    Some(Request { line, headers: lines.collect() })
}

/// Writes a whole JSON answer and closes; `headers` end with a line break each.
pub async fn answer_json(mut stream: TcpStream, status: u16, headers: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
    );
    // The other side may be gone: nobody waits for this answer then.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
