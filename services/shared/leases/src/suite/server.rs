//! A real Redis server for one test.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Set by those who have no Redis and accept that its tests do not run.
const WITHOUT_REDIS: &str = "HELIOGRAPH_TESTS_WITHOUT_REDIS";

/// The server; stopped when dropped.
pub(super) struct RedisServer {
    port: u16,
    folder: TempDir,
    process: Child,
}

impl RedisServer {
    /// A server on a free port, or `None` if the tests are to run without.
    pub(super) fn start() -> Option<Self> {
        if std::env::var_os(WITHOUT_REDIS).is_some() {
            return None;
        }
        // Another program may take the port before the server does: then another port.
        (0..10).find_map(|_| {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let folder = TempDir::new().unwrap();
            let process = launch(port, &folder)?;
            Some(Self { port, folder, process })
        })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills it; it forgets everything.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(super) fn restart(&mut self) {
        self.process = launch(self.port, &self.folder).expect("the port should still be free");
    }

    /// Sends it a signal, such as `STOP`: it is there, but answers nothing.
    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.process.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Sends one command on a connection of its own; the raw answer.
    pub(super) fn tell(&self, command: &str) -> String {
        ask(self.port, command).unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server and waits until it answers; `None` if it ended, for lack of the port.
fn launch(port: u16, folder: &TempDir) -> Option<Child> {
    let mut process = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string(), "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("these tests need the program redis-server ({error}); set {WITHOUT_REDIS} to go without")
        });
    let deadline = Instant::now() + Duration::from_secs(30);
    while process.try_wait().unwrap().is_none() {
        if ask(port, "PING").is_some_and(|answer| answer.starts_with("+PONG")) {
            return Some(process);
        }
        assert!(Instant::now() < deadline, "redis-server does not answer");
        thread::sleep(Duration::from_millis(5));
    }
    None
}

fn ask(port: u16, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}
