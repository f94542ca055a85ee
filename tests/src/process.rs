//! A child process with a log, killed when it is dropped.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that takes milliseconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program of ours. What it prints is in its log, shown if the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; both its outputs go to the end of `log`.
    pub fn spawn(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self { name: name.to_owned(), child, log, ended: None }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, signal: &str) {
        assert!(self.try_signal(signal), "{} is gone already", self.name);
    }

    /// The same, and tells whether there was anybody to send it to. The shell's own `kill` is
    /// there on every machine.
    pub(crate) fn try_signal(&self, signal: &str) -> bool {
        let line = format!("kill -{signal} {}", self.id());
        Command::new("sh").args(["-c", &line]).status().is_ok_and(|status| status.success())
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }

    /// How it ended, if it has.
    pub fn try_status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.try_wait(PATIENCE);
        status.unwrap_or_else(|| panic!("{} does not end; its log:\n{}", self.name, self.log()))
    }

    /// Waits for its end, but not for ever.
    pub(crate) fn try_wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while self.try_status().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.try_status()
    }

    /// A figure of `/proc/<pid>/status` in bytes, such as `VmRSS` or `VmHWM`.
    pub fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Processor time used so far, by the program and the kernel for it. `/proc` counts in
    /// hundredths of a second.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name in brackets may hold spaces; what follows does not.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("--- the last lines of {} ---\n{}", self.name, tail.join("\n"));
        }
    }
}

/// Runs a program to its end and gives what it printed; fails if it has failed.
pub async fn run(name: &str, command: &mut Command, log: PathBuf) -> String {
    let mut process = Process::spawn(name, command, log);
    let deadline = Instant::now() + PATIENCE * 10;
    let status = loop {
        match process.try_status() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "{name} does not end"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let log = process.log();
    assert!(status.success(), "{name}: {status}\n{log}");
    log
}

/// Asks again and again until the answer is `Some`; fails after half a minute.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: did not come true within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
