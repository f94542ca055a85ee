//! Real Redis servers for tests.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{self, Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::task::block_in_place;

use super::forms::Papers;

/// Set by those who have no Redis and accept that its tests do not run.
const WITHOUT_REDIS: &str = "HELIOGRAPH_TESTS_WITHOUT_REDIS";

/// The server; stopped when dropped.
pub(super) struct RedisServer {
    port: u16,
    tls_port: Option<u16>,
    bus: u16,
    folder: TempDir,
    arguments: Vec<String>,
    password: Option<String>,
    process: Child,
}

/// What is special about a server.
#[derive(Default)]
pub(super) struct Special {
    /// Further arguments.
    pub(super) arguments: Vec<String>,
    /// The lines of a file of settings, which a sentinel needs.
    pub(super) lines: Vec<String>,
    /// What it asks for.
    pub(super) password: Option<String>,
    /// What it shows to those who come over TLS, at a port of its own.
    pub(super) papers: Option<Arc<Papers>>,
    /// Whether it is to be one of a cluster, whose servers have a port for each other.
    pub(super) has_bus: bool,
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
            let (port, bus) = (free_port(), free_port());
            let tls_port = special.papers.as_ref().map(|papers| {
                let port = free_port();
                arguments.extend(papers.arguments(port));
                port
            });
            if special.has_bus {
                arguments.extend(["--cluster-port".to_owned(), bus.to_string()]);
            }
            let process = launch(port, &folder, &arguments)?;
            Some(Self { port, tls_port, bus, folder, arguments, password: special.password.clone(), process })
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

    /// Where others come to: over TLS, if it has papers.
    pub(super) fn open_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// Where others of its cluster come to.
    pub(super) const fn bus(&self) -> u16 {
        self.bus
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
        // It goes on for a moment after it was told to stop.
        while signal == "STOP" && self.is_running() {
            thread::sleep(Duration::from_millis(1));
        }
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

/// A port that nobody has now, and that the system gives to nobody who does not ask for it: a server that
/// was killed finds it free again. Two runs at once begin at different places.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = process::id().wrapping_mul(97);
    let next = || first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
    let ports = (0..20_000).filter_map(|_| u16::try_from(10_000 + next()).ok());
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok());
    free.next().expect("some port is free")
}

/// Waits until something is so. What is not by then never will be, however busy the machine is. Whoever
/// else runs on this thread goes on elsewhere meanwhile.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    block_in_place(|| {
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}: it does not become so");
            thread::sleep(Duration::from_millis(10));
        }
    });
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
