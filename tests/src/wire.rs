//! A connection whose bytes the test writes itself: what no well-behaved client would send.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// An open connection.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends the head of a request with a token; `headers` end with a line break each.
    pub async fn head(&mut self, line: &str, token: &str, headers: &str) {
        let head = format!("{line} HTTP/1.1\r\nHost: media.test\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
        self.send(head.as_bytes()).await;
    }

    /// Sends bytes; fails if the other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends bytes if the other side still takes them.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Reads until `enough` says so of all that has come, or until the end.
    pub async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut got = Vec::new();
        while !enough(&got) {
            let mut piece = vec![0; 64 * 1024];
            let length = timeout(PATIENCE, self.0.read(&mut piece)).await.expect("the other side goes on");
            // A reset is an end as well; whether it was a right one, the caller sees by the bytes.
            let Ok(length @ 1..) = length else { break };
            got.extend_from_slice(&piece[..length]);
        }
        got
    }

    /// Reads the status and the body of an answer with a `Content-Length`.
    pub async fn answer(&mut self) -> (u16, String) {
        let got = self.read_until(is_whole_answer).await;
        let text = String::from_utf8_lossy(&got).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.unwrap_or_else(|| panic!("no answer: {text:?}")), body.unwrap_or_default())
    }

    /// Reads the status of an answer, whatever comes with it.
    pub async fn answer_status(&mut self) -> u16 {
        let got = self.read_until(|got| got.windows(4).any(|end| end == b"\r\n\r\n")).await;
        let text = String::from_utf8_lossy(&got).into_owned();
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"))
    }
}

fn is_whole_answer(got: &[u8]) -> bool {
    let text = String::from_utf8_lossy(got);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(usize::MAX)
}
