//! A stand-in for Google Cloud Storage that checks what was signed.

use tempfile::TempDir;

use super::{BUCKET, listens, loopback, script};
use crate::{Process, free_port, python};

/// One bucket, in memory.
#[derive(Debug)]
pub struct Google {
    port: u16,
    _process: Process,
    folder: TempDir,
}

impl Google {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = python(&script("google.py"));
        command.args([&port.to_string(), BUCKET]).arg(folder.path().join("key.json"));
        let process = Process::spawn("google", &mut command, folder.path().join("google.log"));
        listens("the stand-in for Google listens", loopback(port)).await;
        Self { port, _process: process, folder }
    }

    /// The settings for its bucket, by key.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", format!("gs://{BUCKET}")),
            ("endpoint", format!("http://127.0.0.1:{}", self.port)),
            ("allow_http", "true".to_owned()),
            ("service_account_file", self.folder.path().join("key.json").display().to_string()),
        ]
    }
}
