//! A reader of answers that forgives nothing.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How a body is told that ends before its end.
pub(crate) const CUT_OFF: &str = "the body ends";

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// As it came.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Whether the body was asked for before (`100`).
    pub(crate) was_continued: bool,
    /// Nothing follows on this connection.
    pub(crate) closes: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(key, _)| key == name).count()
    }
}

/// What comes instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The connection ended before the first byte.
    Closed,
    /// Nothing came in time.
    Silence,
    /// What came is no answer.
    Broken(String),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut tries = 0;
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return Self { stream, buffer: Vec::new() },
                // Many connections end here within seconds; ports come back.
                Err(error) => assert!(tries < 100, "cannot connect: {error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends; whether anybody took it, the answer tells.
    pub(crate) async fn send(&mut self, bytes: &[u8], patience: Duration) {
        let _ = timeout(patience, self.stream.write_all(bytes)).await;
    }

    /// What has come without having been asked for, within so long.
    pub(crate) async fn unasked(&mut self, patience: Duration) -> Vec<u8> {
        let _ = timeout(patience, self.fill()).await;
        std::mem::take(&mut self.buffer)
    }

    /// The next answer; interim ones are passed over.
    pub(crate) async fn answer(&mut self, method: &str, patience: Duration) -> Result<Answer, NoAnswer> {
        timeout(patience, self.read(method)).await.unwrap_or_else(|_| {
            let got = String::from_utf8_lossy(&self.buffer).into_owned();
            Err(if got.is_empty() { NoAnswer::Silence } else { NoAnswer::Broken(format!("stops after {got:?}")) })
        })
    }

    /// False at the end.
    async fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 << 10];
        let Ok(length @ 1..) = self.stream.read(&mut piece).await else { return false };
        self.buffer.extend_from_slice(&piece[..length]);
        true
    }

    async fn read(&mut self, method: &str) -> Result<Answer, NoAnswer> {
        let mut was_continued = false;
        loop {
            let head = self.read_head().await?;
            let mut answer = parse_head(&head).map_err(|what| broken(&what, &head))?;
            if answer.status == 100 {
                was_continued = true;
                continue;
            }
            answer.was_continued = was_continued;
            let has_none = method == "HEAD" || matches!(answer.status, 101..200 | 204 | 304);
            let body = if has_none { Ok(Vec::new()) } else { self.read_body(&mut answer).await };
            answer.body = body.map_err(|what| broken(&what, &answer.head))?;
            return Ok(answer);
        }
    }

    async fn read_head(&mut self) -> Result<Vec<u8>, NoAnswer> {
        loop {
            if let Some(length) = self.buffer.windows(4).position(|end| end == b"\r\n\r\n") {
                return Ok(self.buffer.drain(..length + 4).collect());
            }
            if !self.fill().await {
                return Err(if self.buffer.is_empty() {
                    NoAnswer::Closed
                } else {
                    broken("the head breaks off", &self.buffer)
                });
            }
        }
    }

    async fn read_body(&mut self, answer: &mut Answer) -> Result<Vec<u8>, String> {
        match (answer.header("content-length"), answer.header("transfer-encoding")) {
            (Some(_), Some(_)) => Err("two ways to tell its length".to_owned()),
            (Some(length), None) => {
                let length = length.parse().map_err(|_| "the length is no number".to_owned())?;
                self.take(length).await
            }
            (None, Some("chunked")) => self.read_chunks().await,
            (None, Some(other)) => Err(format!("Transfer-Encoding: {other}")),
            (None, None) => {
                answer.closes = true;
                while self.fill().await {}
                Ok(std::mem::take(&mut self.buffer))
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.buffer.len() < length {
            if !self.fill().await {
                return Err(format!("{CUT_OFF} after {} of {length} bytes", self.buffer.len()));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn read_chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            while !self.buffer.windows(2).any(|end| end == b"\r\n") {
                if !self.fill().await {
                    return Err("a chunk breaks off".to_owned());
                }
            }
            let length = self.buffer.windows(2).position(|end| end == b"\r\n").unwrap();
            let line = self.take(length + 2).await?;
            let size = String::from_utf8_lossy(&line[..length]).into_owned();
            let size = usize::from_str_radix(&size, 16).map_err(|_| format!("a chunk of {size:?}"))?;
            let piece = self.take(size + 2).await?;
            body.extend_from_slice(&piece[..size]);
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn broken(what: &str, got: &[u8]) -> NoAnswer {
    NoAnswer::Broken(format!("{what} in {:?}", String::from_utf8_lossy(got)))
}

fn parse_head(head: &[u8]) -> Result<Answer, String> {
    let text = head.strip_suffix(b"\r\n\r\n").unwrap();
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii()).ok_or("bytes that are not ASCII")?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok()).ok_or_else(|| format!("a first line {line:?}"))?;
    let headers: Vec<(String, String)> = lines.map(parse_header).collect::<Result<_, _>>()?;
    let closes = headers.iter().any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case("close"));
    Ok(Answer {
        status,
        headers,
        head: head.to_owned(),
        body: Vec::new(),
        was_continued: false,
        closes: closes || line.starts_with("HTTP/1.0"),
    })
}

fn parse_header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(": ").ok_or_else(|| format!("a header {line:?}"))?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_value = value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    if is_name && is_value {
        Ok((name.to_ascii_lowercase(), value.to_owned()))
    } else {
        Err(format!("a header {line:?}"))
    }
}
