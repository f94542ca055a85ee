//! The binary as an operator meets it: exit codes, what it says, how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

fn heliograph(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heliograph"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A process in development mode on a port of its own, which has printed its welcome.
struct Running {
    child: Child,
    welcome: Vec<String>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = heliograph(folder, &["serve"]);
        command
            .envs(environment.iter().copied())
            .env("HELIOGRAPH_API_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut curls = 0;
        let welcome = lines
            .map(Result::unwrap)
            .take_while(|line| {
                curls += usize::from(line.starts_with("curl "));
                curls < 3 || !line.is_empty()
            })
            .collect();
        Self { child, welcome }
    }

    fn address(&self) -> String {
        let word = self.welcome[0].split(' ').find_map(|word| word.strip_prefix("http://"));
        word.unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("/bin/sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
    }

    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut logs = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut logs).unwrap();
        (code, logs)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_role_is_asked_whether_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let ask = |address: &str| run(heliograph(folder.path(), &["health"]).env("HELIOGRAPH_API_LISTEN", address));

    let (code, said, _) = ask(&running.address());
    assert_eq!(code, Some(0), "{said}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, _, complaint) = ask(&nobody);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("does not answer"), "{complaint}");
}

#[test]
fn every_bad_setting_is_a_line_of_its_own() {
    let folder = folder();
    fs::write(folder.path().join("a.toml"), "[uploads]\nmax_bytes = \"big\"\n[nonsense]\n").unwrap();

    let mut command = heliograph(folder.path(), &["serve", "--config", "a.toml"]);
    let (code, _, errors) = run(command.env("HELIOGRAPH_API_LISTEN", "0.0.0.0:8000"));

    assert_eq!(code, Some(64));
    let keys: Vec<&str> = errors.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(keys, ["uploads.max_bytes", "api.listen", "nonsense"], "{errors}");
}

#[test]
fn a_missing_settings_file_is_told() {
    let (code, _, errors) = run(&mut heliograph(folder().path(), &["config", "check", "--config", "absent.toml"]));

    assert_eq!(code, Some(64));
    assert_eq!(errors.lines().count(), 1);
    assert!(errors.contains("cannot read absent.toml"), "{errors}");
}

#[test]
fn commands_about_settings_leave_no_trace() {
    let folder = folder();

    for arguments in [["config", "sample"], ["config", "reference"], ["config", "check"]] {
        let (code, output, errors) = run(&mut heliograph(folder.path(), &arguments));
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!output.is_empty());
    }

    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let (code, _, errors) = run(heliograph(folder().path(), &["serve"]).env("HELIOGRAPH_API_LISTEN", &address));

    assert_eq!(code, Some(1));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(&address) && errors.contains("api.listen"), "{errors}");
}

#[test]
fn a_data_folder_that_cannot_be_one_is_one_clear_line() {
    let folder = folder();
    fs::write(folder.path().join("heliograph-data"), "a file").unwrap();

    let (code, _, errors) = run(heliograph(folder.path(), &["serve"]).env("HELIOGRAPH_API_LISTEN", "127.0.0.1:0"));

    assert_eq!(code, Some(1));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("heliograph-data: a file is in the way"), "{errors}");
}

#[test]
fn a_data_folder_belongs_to_one_process() {
    let folder = folder();
    let _first = Running::start(folder.path());

    let (code, _, errors) = run(heliograph(folder.path(), &["serve"]).env("HELIOGRAPH_API_LISTEN", "127.0.0.1:0"));

    assert_eq!(code, Some(1));
    assert!(errors.lines().count() == 1 && errors.contains("in use by another heliograph process"), "{errors}");
}

#[test]
fn a_media_store_belongs_to_one_process_without_redis() {
    let (first, second, store) = (folder(), folder(), folder());
    let url = format!("file://{}", store.path().display());
    let _first = Running::start_with(first.path(), &[("HELIOGRAPH_STORAGE_URL", &url)]);

    let mut command = heliograph(second.path(), &["serve"]);
    let (code, _, errors) =
        run(command.env("HELIOGRAPH_API_LISTEN", "127.0.0.1:0").env("HELIOGRAPH_STORAGE_URL", &url));

    assert_eq!(code, Some(1));
    let errors: Vec<&str> = errors.lines().filter(|line| line.contains("heliograph: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains("set state.redis_url"), "{errors:?}");
}

#[test]
fn a_url_that_cannot_be_of_redis_is_a_bad_setting() {
    let folder = folder();

    let mut command = heliograph(folder.path(), &["serve"]);
    let (code, _, errors) =
        run(command.env("HELIOGRAPH_API_LISTEN", "127.0.0.1:0").env("HELIOGRAPH_STATE_REDIS_URL", "http://nowhere"));

    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.lines().any(|line| line.starts_with("state.redis_url: ")), "{errors}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_bad_setting_for_every_command() {
    let folder = folder();
    let file = "[[homeserver]]\nserver_name = \"a\"\nurl = \"http://a\"\nsigning_key_file = \"/nowhere/key\"\n\
                [federation]\nca_file = \"/nowhere/ca\"\n[thumbnails]\nworkers = 99999999\n";
    fs::write(folder.path().join("a.toml"), file).unwrap();

    for arguments in [&["serve", "--config", "a.toml"][..], &["config", "check", "--config", "a.toml"]] {
        let (code, _, errors) = run(&mut heliograph(folder.path(), arguments));

        assert_eq!(code, Some(64), "{errors}");
        let keys: Vec<&str> = errors.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(keys, ["thumbnails.workers", "homeserver.signing_key_file", "federation.ca_file"], "{errors}");
        assert!(errors.contains("/nowhere/key") && errors.contains("/nowhere/ca"), "{errors}");
    }
}

#[test]
fn the_welcome_has_three_lines_to_run_and_is_the_same_after_a_restart() {
    let folder = folder();
    let curls = |running: &Running| -> Vec<String> {
        let lines = running.welcome.iter().filter(|line| line.starts_with("curl "));
        // Only the port differs.
        lines.map(|line| line.replace(&running.address(), "")).collect()
    };
    let first = Running::start(folder.path());
    let before = curls(&first);
    first.signal("TERM");
    assert_eq!(first.end().0, Some(0));

    let second = Running::start(folder.path());

    assert_eq!(before.len(), 3);
    assert_eq!(curls(&second), before);
}

/// Begins an upload that never ends; returns when its handler waits for the body.
fn stalled_upload(running: &Running) -> TcpStream {
    let token = running.welcome.iter().find_map(|line| line.split("Bearer ").nth(1)?.split('\'').next()).unwrap();
    let mut stream = TcpStream::connect(running.address()).unwrap();
    write!(
        stream,
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let folder = folder();
    let mut running = Running::start(folder.path());
    let _stalled = stalled_upload(&running);
    running.signal("TERM");
    let mut logs = BufReader::new(running.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(logs.any(|line| line.contains("another signal ends at once")));

    running.signal("TERM");

    assert_eq!(running.child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_grace_bounds_what_is_in_progress() {
    let folder = folder();
    let running = Running::start_with(folder.path(), &[("HELIOGRAPH_PROCESS_SHUTDOWN_GRACE", "100ms")]);
    let _stalled = stalled_upload(&running);

    running.signal("TERM");

    let (code, logs) = running.end();
    assert_eq!(code, Some(0));
    assert!(logs.contains("the grace is over"), "{logs}");
}

#[test]
fn a_signal_ends_the_process_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let running = Running::start(folder.path());

        running.signal(signal);

        let (code, logs) = running.end();
        assert_eq!(code, Some(0), "{logs}");
        assert!(logs.contains("ending: finishing what is in progress"), "{logs}");
    }
}

#[test]
fn a_key_is_made_once_and_shown_without_its_secret() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    for (format, beginning) in [("synapse", "ed25519 a_1 "), ("dendrite", "-----BEGIN MATRIX PRIVATE KEY-----\n")] {
        let generate = ["keys", "generate", "--format", format, "--id", "ed25519:a_1", format];

        let (code, made, errors) = run(&mut heliograph(folder.path(), &generate));

        assert_eq!((code, errors.as_str()), (Some(0), ""));
        let file = folder.path().join(format);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(beginning), "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let (code, shown, _) = run(&mut heliograph(folder.path(), &["keys", "show", format]));
        assert!(code == Some(0) && made.ends_with(&shown) && shown.contains("ed25519:a_1"), "{shown}");
        let (code, _, errors) = run(&mut heliograph(folder.path(), &generate));
        assert_eq!((code, errors.lines().count()), (Some(1), 1), "{errors}");
        assert!(errors.contains(format) && errors.contains("exists"), "{errors}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is left alone");
    }
}

#[test]
fn what_is_no_key_is_told() {
    let folder = folder();
    fs::write(folder.path().join("bad"), "ed25519 a not-a-secret\n").unwrap();

    let (bad, _, told) = run(&mut heliograph(folder.path(), &["keys", "show", "bad"]));
    let (absent, _, no_file) = run(&mut heliograph(folder.path(), &["keys", "show", "absent"]));
    let (usage, _, no_id) = run(&mut heliograph(folder.path(), &["keys", "generate", "--id", "a-b", "new"]));

    assert_eq!((bad, absent, usage), (Some(1), Some(1), Some(2)));
    assert!(told.contains("bad") && told.contains("line 1") && !told.contains("not-a-secret"), "{told}");
    assert!(no_file.contains("absent") && no_file.lines().count() == 1, "{no_file}");
    assert!(no_id.contains("such as a_AbCd"), "{no_id}");
    assert!(!folder.path().join("new").exists());
}
