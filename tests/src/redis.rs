//! A real Redis, alone or as several servers that are one.

pub(crate) mod forms;

use std::{path::Path, process::Command};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Process, eventually, free_port, program};

/// A running Redis that keeps nothing.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    password: Option<&'static str>,
}

impl Redis {
    /// Starts one and waits until it listens.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, "redis", None, &["--save", "", "--appendonly", "no"]).await
    }

    /// Starts one with these arguments, in a folder where it may write, and waits until it listens.
    async fn start_with(folder: &Path, name: &str, password: Option<&'static str>, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(program("redis-server"));
        command.current_dir(folder).args(arguments).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        let process = Process::spawn(name, &mut command, folder.join(format!("{name}.log")));
        let redis = Self { process, port, password };
        eventually("Redis listens", async || tokio::net::TcpStream::connect(("127.0.0.1", redis.port)).await.ok())
            .await;
        redis
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
        if let Some(password) = self.password {
            ask(&mut connection, &format!("AUTH {password}")).await;
        }
        ask(&mut connection, command).await
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

async fn ask(connection: &mut tokio::net::TcpStream, command: &str) -> String {
    connection.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 16384];
    let length = connection.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
