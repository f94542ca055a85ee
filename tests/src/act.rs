//! What a server does with a connection, step by step: also what no honest one would.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

/// Between the parts of answers of the tests.
const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";

/// One step.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes again and again, until nobody takes them.
    SendForever(Bytes),
    /// Sends one of these bytes each second, again and again.
    Drip(Bytes),
    /// Does nothing for a while.
    Pause(Duration),
    /// Says nothing until the other side is gone.
    Wait,
    /// Drops the connection without a word: what was sent was not all.
    Cut,
}

/// Steps one after the other. After the last one the connection is closed as it should be.
pub type Script = Vec<Act>;

impl Act {
    /// Sends these bytes.
    pub fn send(bytes: impl Into<Bytes>) -> Self {
        Self::Send(bytes.into())
    }
}

/// Does it all, unless the other side leaves before.
pub(crate) async fn perform(script: Script, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    for act in script {
        let is_there = match act {
            Act::Send(bytes) => send(&mut stream, &bytes).await,
            Act::SendForever(bytes) => {
                while send(&mut stream, &bytes).await {}
                false
            }
            Act::Drip(bytes) => drip(&mut stream, &bytes).await,
            Act::Pause(span) => {
                sleep(span).await;
                true
            }
            Act::Wait => {
                while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
                false
            }
            Act::Cut => false,
        };
        if !is_there {
            return;
        }
    }
    // The other side may have left first.
    let _ = stream.shutdown().await;
}

/// Whether the bytes were taken.
async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    for byte in bytes.iter().cycle() {
        if !send(stream, &[*byte]).await {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    false
}

/// The head of an answer; `headers` end with a line break each.
pub fn head(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n")
}

/// A whole answer of JSON, if it is any.
pub fn answer(status: &str, body: &str) -> Script {
    answer_with(status, "Content-Type: application/json\r\n", body)
}

/// A whole answer; `headers` end with a line break each.
pub fn answer_with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let head = head(status, &format!("{headers}Content-Length: {}\r\n", body.len()));
    vec![Act::send([head.as_bytes(), body].concat())]
}

/// The header of an answer in two parts, with its line break.
pub fn two_parts() -> String {
    format!("Content-Type: multipart/mixed; boundary={BOUNDARY}\r\n")
}

/// A file in two parts: what stands before it, and what behind.
pub fn wrapped(headers_of_file: &str) -> (String, String) {
    let before = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\n{headers_of_file}\r\n"
    );
    (before, format!("\r\n--{BOUNDARY}--\r\n"))
}

/// One chunk of a body that is sent in chunks.
pub fn in_chunks(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
