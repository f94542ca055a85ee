//! Redis, outside: a single server, or two of which one follows the other, and three sentinels.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    clock::Clock,
    pods::{OUTSIDE, outside},
};
use crate::{Process, eventually, free_port, program};

/// What the sentinels call it.
pub(super) const MASTER: &str = "main";
const SENTINELS: usize = 3;
/// How long a master may be silent, in ms.
const DOWN_AFTER_MS: u32 = 1000;

/// A server that keeps nothing.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    folder: PathBuf,
    follows: Option<u16>,
    process: Process,
}

impl Server {
    async fn start(folder: &Path, follows: Option<u16>) -> Self {
        let port = free_port();
        let process = launch(folder, port, follows, None);
        listens(port).await;
        Self { port, folder: folder.to_owned(), follows, process }
    }

    /// Starts it again, empty, by this clock or by the one of the machine.
    pub(super) async fn restart(&mut self, clock: Option<&Clock>) {
        self.process.kill();
        self.process = launch(&self.folder, self.port, self.follows, clock);
        listens(self.port).await;
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Nobody can reach it from now on; it forgets nothing.
    pub(super) fn pause(&self) {
        self.process.signal("STOP");
    }

    /// The end of that.
    pub(super) fn go_on(&self) {
        self.process.signal("CONT");
    }

    /// Sends it one command; the raw answer, which must be short.
    pub(super) async fn tell(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(outside(self.port)).await.unwrap();
        connection.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

fn launch(folder: &Path, port: u16, follows: Option<u16>, clock: Option<&Clock>) -> Process {
    let mut command = Command::new(program("redis-server"));
    command.current_dir(folder).args(["--bind", &OUTSIDE.to_string(), "--protected-mode", "no"]);
    command.args(["--save", "", "--appendonly", "no", "--port", &port.to_string()]);
    if let Some(master) = follows {
        command.args(["--replicaof", &OUTSIDE.to_string(), &master.to_string()]);
    }
    for (name, value) in clock.iter().flat_map(|clock| clock.environment()) {
        command.env(name, value);
    }
    Process::spawn("redis", &mut command, folder.join(format!("redis-{port}.log")))
}

async fn listens(port: u16) {
    eventually("Redis listens", async || TcpStream::connect(outside(port)).await.ok()).await;
}

/// All servers of a cluster.
#[derive(Debug)]
pub(super) struct State {
    pub(super) servers: Vec<Server>,
    sentinels: Vec<(u16, Process)>,
}

impl State {
    /// One server.
    pub(super) async fn single(folder: &Path) -> Self {
        Self { servers: vec![Server::start(folder, None).await], sentinels: Vec::new() }
    }

    /// Two servers watched by three sentinels.
    pub(super) async fn watched(folder: &Path) -> Self {
        let master = Server::start(folder, None).await;
        let replica = Server::start(folder, Some(master.port)).await;
        let sentinels = (0..SENTINELS).map(|_| sentinel(folder, master.port)).collect();
        let state = Self { servers: vec![master, replica], sentinels };
        for (port, _) in &state.sentinels {
            listens(*port).await;
            state.knows_all(*port).await;
        }
        state
    }

    /// A sentinel can only act once it has heard of the replica and of the others.
    async fn knows_all(&self, sentinel: u16) {
        eventually("a sentinel knows everybody", async || {
            let mut connection = TcpStream::connect(outside(sentinel)).await.ok()?;
            connection.write_all(format!("SENTINEL MASTER {MASTER}\r\n").as_bytes()).await.ok()?;
            let mut answer = vec![0; 8192];
            let length = connection.read(&mut answer).await.ok()?;
            let text = String::from_utf8_lossy(&answer[..length]).into_owned();
            let fields: Vec<&str> = text.split("\r\n").collect();
            let has = |name: &str, value: &str| fields.windows(3).any(|field| field[0] == name && field[2] == value);
            (has("num-slaves", "1") && has("num-other-sentinels", "2")).then_some(())
        })
        .await;
    }

    /// What the settings say of it.
    pub(super) fn url(&self) -> String {
        if self.sentinels.is_empty() {
            return format!("redis://{}/0", outside(self.servers[0].port));
        }
        let places: Vec<String> = self.sentinels.iter().map(|(port, _)| outside(*port).to_string()).collect();
        format!("redis+sentinel://{}/{MASTER}/0", places.join(","))
    }
}

fn sentinel(folder: &Path, master: u16) -> (u16, Process) {
    let port = free_port();
    let file = folder.join(format!("sentinel-{port}.conf"));
    let text = format!(
        "bind {OUTSIDE}\nprotected-mode no\nport {port}\ndir {folder}\n\
         sentinel monitor {MASTER} {OUTSIDE} {master} 2\nsentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {MASTER} 10000\n",
        folder = folder.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("redis-server"));
    command.arg(&file).arg("--sentinel");
    (port, Process::spawn("sentinel", &mut command, folder.join(format!("sentinel-{port}.log"))))
}
