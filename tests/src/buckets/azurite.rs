//! Microsoft's emulator of Azure Blob Storage.

use tempfile::TempDir;

use super::{BUCKET, listens, loopback, script};
use crate::{Process, free_port, installed, node, python, run};

/// The account that it knows, and its key: both are published.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An account with one container, in memory.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    _process: Process,
    folder: TempDir,
}

impl Azurite {
    /// Starts one, and makes the container.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = node(&installed("TEST_NODE_MODULES").join("azurite/dist/src/blob/main.js"));
        command.current_dir(&folder).args(["--silent", "--disableTelemetry", "--inMemoryPersistence"]);
        command.args(["--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        let process = Process::spawn("azurite", &mut command, folder.path().join("azurite.log"));
        listens("Azurite listens", loopback(port)).await;
        let azurite = Self { port, _process: process, folder };
        let mut command = python(&script("azure_container.py"));
        command.env("AZURE_KEY", KEY).args([&azurite.endpoint(), BUCKET]);
        run("making a container", &mut command, azurite.folder.path().join("container.log")).await;
        azurite
    }

    /// The settings for its container, by key.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", format!("az://{BUCKET}")),
            ("endpoint", self.endpoint()),
            ("allow_http", "true".to_owned()),
            ("account", ACCOUNT.to_owned()),
            ("access_key", KEY.to_owned()),
        ]
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }
}
