//! A point of presence before a deployment.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use toml::Value;

use crate::{Client, Process, Settings, eventually, free_port, heliograph};

/// A process `heliograph edge`, which can be started again.
#[derive(Debug)]
pub struct Edge {
    settings: Settings,
    address: SocketAddr,
    process: Option<Process>,
    // Last, so that the folder goes after all who write there.
    folder: TempDir,
}

impl Edge {
    /// Starts one before the core at this address.
    pub async fn start(core: SocketAddr) -> Self {
        Self::start_with(core, []).await
    }

    /// The same at an address that was told to others before.
    pub async fn start_at(address: SocketAddr, core: SocketAddr) -> Self {
        let mut edge = Self { address, ..Self::prepare(core) };
        edge.change("listen", address.to_string());
        edge.launch().await;
        edge
    }

    /// The same with settings of its section.
    pub async fn start_with<const N: usize>(core: SocketAddr, settings: [(&str, Value); N]) -> Self {
        let mut edge = Self::prepare(core);
        for (key, value) in settings {
            edge.change(key, value);
        }
        edge.launch().await;
        edge
    }

    fn prepare(core: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("heliograph-edge-").tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut settings = Settings::default();
        settings.set("edge", "upstream", format!("http://{core}")).set("edge", "listen", address.to_string());
        settings.set("data", "folder", folder.path().join("data").to_str().unwrap());
        Self { settings, address, process: None, folder }
    }

    /// Changes a setting for the next start.
    pub fn change(&mut self, key: &str, value: impl Into<Value>) {
        self.settings.set("edge", key, value);
    }

    /// Starts the process, and waits until it is ready.
    pub async fn launch(&mut self) {
        let file = self.folder.path().join("edge.toml");
        fs::write(&file, self.settings.to_string()).unwrap();
        let mut command = heliograph();
        command.arg("edge").arg("--config").arg(&file).current_dir(&self.folder);
        let mut process = Process::spawn("edge", &mut command, self.folder.path().join("edge.log"));
        let client = self.client("");
        eventually("an edge becomes ready", async || {
            assert!(process.try_status().is_none(), "`heliograph edge` ended:\n{}", process.log());
            let request = client.request(reqwest::Method::GET, "/readyz");
            request.send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        self.process = Some(process);
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The user of `<name>-token`, through it.
    pub fn user(&self, name: &str) -> Client {
        self.client(&format!("{name}-token"))
    }

    /// Alice, through it.
    pub fn alice(&self) -> Client {
        self.user("alice")
    }

    /// Bob, through it.
    pub fn bob(&self) -> Client {
        self.user("bob")
    }

    /// Somebody without a token.
    pub fn stranger(&self) -> Client {
        self.alice().without_token()
    }

    fn client(&self, token: &str) -> Client {
        Client::plain(self.address, token)
    }

    /// What it counts under this name, with this in its labels.
    pub async fn count(&self, name: &str, label: &str) -> u64 {
        self.client("").count(name, label).await
    }

    /// Waits until it keeps so many copies, and nothing is on its way.
    pub async fn keeps(&self, copies: usize) {
        eventually("the edge keeps its copies", async || {
            let (whole, unfinished) = (self.files("contents", "body"), self.files("unfinished", ""));
            (whole == copies && unfinished == 0).then_some(())
        })
        .await;
    }

    /// How many files it has in this folder of its cache whose names end so.
    pub fn files(&self, folder: &str, end: &str) -> usize {
        let mut found = Vec::new();
        collect(&self.folder.path().join("data/edge").join(folder), &mut found);
        found.iter().filter(|file| file.to_str().unwrap().ends_with(end)).count()
    }

    /// Writes over all files of its cache whose names end so.
    pub fn damage(&self, end: &str) {
        let mut found = Vec::new();
        collect(&self.folder.path().join("data/edge/contents"), &mut found);
        found.iter().filter(|file| file.to_str().unwrap().ends_with(end)).for_each(|file| fs::write(file, "").unwrap());
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}
