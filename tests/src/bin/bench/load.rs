//! A load of known cost: wrk, with one thread.

use std::{net::SocketAddr, path::Path, process::Command};

use heliograph_tests::program;
use serde_json::Value;

/// What is asked for, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Of whom.
    pub(crate) address: SocketAddr,
    /// With the query.
    pub(crate) path: String,
    /// A bearer token, if one is needed.
    pub(crate) token: Option<String>,
    /// The bytes of the body, each time others, of a `POST`; `None` is a `GET`.
    pub(crate) post: Option<usize>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) bytes: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Load {
    /// Asks for so many seconds over so many connections.
    pub(crate) fn run(&self, connections: u32, seconds: u32) -> Outcome {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/load.lua");
        let mut command = Command::new(program("wrk"));
        command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "30s", "-s"]);
        command.arg(script);
        if let Some(token) = &self.token {
            command.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        command.args(["-H", "Content-Type: application/octet-stream"]);
        command.arg(format!("http://{}{}", self.address, self.path)).arg("--");
        match self.post {
            Some(length) => command.args(["post".to_owned(), length.to_string()]),
            None => command.arg("get"),
        };
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.starts_with('{'));
        let line = line.unwrap_or_else(|| panic!("wrk said: {text}{}", String::from_utf8_lossy(&output.stderr)));
        let answer: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| answer[name].as_f64().unwrap();
        assert!(number("refused") == 0.0, "{}{} refused {} times", self.address, self.path, number("refused"));
        assert!(number("failed") == 0.0, "{}{} failed: {line}", self.address, self.path);
        Outcome {
            requests: number("requests"),
            seconds: number("seconds"),
            bytes: number("bytes"),
            p50_us: number("p50_us"),
            p99_us: number("p99_us"),
            p999_us: number("p999_us"),
        }
    }
}
