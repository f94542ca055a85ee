//! Real Redis servers for tests.

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
    arguments: Vec<String>,
    password: Option<String>,
    process: Child,
}

/// What is special about a server.
#[derive(Default, Clone)]
pub(super) struct Special {
    /// Further arguments.
    pub(super) arguments: Vec<String>,
    /// The lines of a file of settings, which a sentinel needs.
    pub(super) lines: Vec<String>,
    /// What it asks for.
    pub(super) password: Option<String>,
}

impl RedisServer {
    /// A server on a free port, or `None` if the tests are to run without.
    pub(super) fn start() -> Option<Self> {
        Self::start_special(&Special::default())
    }

    /// The same with something special about it.
    pub(super) fn start_special(special: &Special) -> Option<Self> {
        if is_without_redis() {
            return None;
        }
        // Another program may take the port before the server does: then another port.
        let started = (0..10).find_map(|_| {
            let folder = TempDir::new().unwrap();
            let mut arguments = special.arguments.clone();
            if let Some(password) = &special.password {
                arguments.extend(["--requirepass".to_owned(), password.clone()]);
            }
            if !special.lines.is_empty() {
                let file = folder.path().join("server.conf");
                std::fs::write(&file, special.lines.join("\n")).unwrap();
                arguments.insert(0, file.display().to_string());
            }
            let port = free_port();
            let process = launch(port, &folder, &arguments)?;
            Some(Self { port, folder, arguments, password: special.password.clone(), process })
        });
        Some(started.expect("redis-server does not start"))
    }

    /// The same, which asks for this password.
    pub(super) fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Whether it is there, and not stopped.
    pub(super) fn is_running(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        status
            .lines()
            .any(|line| line.starts_with("State:") && !line.contains("(zombie)") && !line.contains("(stopped)"))
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The port of that.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; it forgets everything.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(super) fn restart(&mut self) {
        self.process = launch(self.port, &self.folder, &self.arguments).expect("the port should still be free");
    }

    /// Sends it a signal, such as `STOP`: it is there, but answers nothing.
    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.process.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Sends one command on a connection of its own; the raw answer. A server that becomes a
    /// replica just then drops all connections: asked again, it answers.
    pub(super) fn tell(&self, command: &str) -> String {
        (0..3).find_map(|_| ask(self.port, self.password.as_deref(), command)).unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the tests are to run without Redis.
pub(super) fn is_without_redis() -> bool {
    std::env::var_os(WITHOUT_REDIS).is_some()
}

/// A port that nobody has now.
pub(super) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until something is so. What is not by then never will be.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: it does not become so");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a server and waits until it answers; `None` if it ended, for lack of the port.
fn launch(port: u16, folder: &TempDir, arguments: &[String]) -> Option<Child> {
    let is_sentinel = arguments.iter().any(|argument| argument == "--sentinel");
    let keeps_nothing: &[&str] = if is_sentinel { &[] } else { &["--save", "", "--appendonly", "no"] };
    let mut process = Command::new("redis-server")
        .args(arguments)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(folder.path())
        .args(keeps_nothing)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("these tests need the program redis-server ({error}); set {WITHOUT_REDIS} to go without")
        });
    let deadline = Instant::now() + Duration::from_secs(30);
    while process.try_wait().unwrap().is_none() {
        let answer = ask(port, None, "PING");
        if answer.is_some_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")) {
            return Some(process);
        }
        assert!(Instant::now() < deadline, "redis-server does not answer");
        thread::sleep(Duration::from_millis(5));
    }
    None
}

fn ask(port: u16, password: Option<&str>, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    if let Some(password) = password {
        read_answer(&mut stream, &format!("AUTH {password}"))?;
    }
    read_answer(&mut stream, command)
}

fn read_answer(stream: &mut TcpStream, command: &str) -> Option<String> {
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut answer = [0; 16384];
    let length = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}
