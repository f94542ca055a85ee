//! A real Redis.

use std::{path::Path, process::Command};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Process, eventually, free_port, program};

/// A running Redis that keeps nothing.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
}

impl Redis {
    /// Starts one and waits until it listens.
    pub async fn start(folder: &Path) -> Self {
        let redis = Self::start_at(folder, free_port());
        eventually("Redis listens", async || tokio::net::TcpStream::connect(("127.0.0.1", redis.port)).await.ok())
            .await;
        redis
    }

    fn start_at(folder: &Path, port: u16) -> Self {
        let mut command = Command::new(program("redis-server"));
        command.current_dir(folder).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        let process = Process::spawn("redis", command.arg(port.to_string()), folder.join("redis.log"));
        Self { process, port }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Forgets all that it knows, as one that was replaced.
    pub async fn flush(&self) {
        assert_eq!(self.tell("FLUSHALL").await, "+OK\r\n");
    }

    /// Sends it one command on a connection of its own; the raw answer, which must be short.
    pub async fn tell(&self, command: &str) -> String {
        let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        connection.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// From now on nobody can reach it; it forgets nothing.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// The end of that.
    pub fn go_on(&self) {
        self.process.signal("CONT");
    }

    /// Ends it at once; all that it knew is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
