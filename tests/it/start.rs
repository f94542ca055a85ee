//! The first minutes of an operator: what works at once, and what is said when it does not.

use std::{fs, net::TcpListener, path::Path, process::Command};

use heliograph_tests::{
    Client, Process, Setup, Shape, both_shapes, eventually, free_port, heliograph, jpeg_size, program,
};
use reqwest::Method;
use tempfile::TempDir;

const HOMESERVER: &str = "[[homeserver]]\nserver_name = \"media.test\"\nurl = \"http://127.0.0.1:1\"\n";

/// `heliograph serve` with these settings, in a folder of its own.
fn serve(folder: &Path, settings: &str) -> Process {
    fs::write(folder.join("settings.toml"), settings).unwrap();
    let mut command = heliograph();
    command.current_dir(folder).args(["serve", "--config", "settings.toml"]);
    Process::spawn("serve", &mut command, folder.join("log"))
}

/// Runs it to its end, which must come by itself: exit code and what it said.
fn fails(settings: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("no-folder"), "").unwrap();
    let mut process = serve(folder.path(), settings);
    (process.wait().code(), process.log())
}

fn listening(port: u16) -> String {
    format!("[api]\nlisten = \"127.0.0.1:{port}\"\n")
}

#[test]
fn a_port_that_is_taken_is_told_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let (code, said) = fails(&listening(port));

    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("api.listen"), "{said}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told() {
    for folder in ["no-folder", "no-folder/below", "/proc/heliograph"] {
        let (code, said) = fails(&format!("{}[data]\nfolder = \"{folder}\"\n", listening(free_port())));

        assert_eq!(code, Some(1));
        assert!(said.contains(folder), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_signing_key_that_cannot_be_read_is_told_with_its_setting() {
    for key in ["/nowhere/signing.key", "settings.toml"] {
        let settings = format!("{}{HOMESERVER}signing_key_file = \"{key}\"\n", listening(free_port()));

        let (code, said) = fails(&settings);

        assert_eq!(code, Some(64));
        assert!(said.contains("homeserver.signing_key_file") && said.contains(key), "{said}");
    }
}

#[test]
fn all_that_is_wrong_with_the_settings_is_told_at_once() {
    let settings = "[api]\nlisten = \"here\"\nlisen = 1\n[uploads]\nmax_bytes = \"much\"\n[nonsense]\n[[homeserver]]\n";

    let (code, said) = fails(settings);

    assert_eq!(code, Some(64));
    for key in ["api.listen", "api.lisen", "uploads.max_bytes", "nonsense", "homeserver.server_name", "homeserver.url"]
    {
        assert!(said.contains(key), "{key} is not named in: {said}");
    }
}

#[test]
fn development_mode_stays_on_this_machine() {
    let (code, said) = fails(&format!("[api]\nlisten = \"0.0.0.0:{}\"\n", free_port()));

    assert_eq!(code, Some(64));
    assert!(said.contains("api.listen"), "{said}");
}

/// A Heliograph without any settings but its port, and what it has printed.
async fn development() -> (TempDir, Process, String) {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), &listening(free_port()));
    let greeting = eventually("three lines to try are printed", async || {
        let log = process.log();
        (log.matches("curl ").count() >= 3).then_some(log)
    })
    .await;
    (folder, process, greeting)
}

#[tokio::test]
async fn the_lines_that_it_prints_work_as_they_stand() {
    program("curl");
    let (folder, _process, greeting) = development().await;
    let lines: Vec<&str> = greeting.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 3, "{greeting}");

    for line in lines {
        let output = Command::new("sh").args(["-c", line]).current_dir(&folder).output().unwrap();

        assert!(output.status.success(), "{line}\n{output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("errcode"), "{line}\n{output:?}");
    }
    let size = |name: &str| jpeg_size(&fs::read(folder.path().join(name)).unwrap());
    assert!(size("picture.jpg").is_some(), "the second line was to fetch the picture");
    assert_eq!(size("thumbnail.jpg"), Some((96, 96)));
}

#[test]
fn every_command_explains_itself() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["--version"], &["config", "sample"]] {
        let output = heliograph().args(arguments).output().unwrap();

        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}: {output:?}");
    }
}

both_shapes! {
    async fn every_process_tells_its_health_and_its_figures(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        deployment.alice().upload("hello", "text/plain").await;

        for address in deployment.health_addresses() {
            let client = Client::plain(address, "").without_token();
            client.get("/livez").await.ok();
            assert_eq!(client.get("/readyz").await.json()["ready"], true);
            let metrics = client.get("/metrics").await.ok();
            assert!(metrics.windows(10).any(|text| text == b"heliograph"), "{metrics:?}");
        }
    }

    async fn without_redis_it_starts_and_says_what_is_missing(shape: Shape) {
        let nowhere = format!("redis://127.0.0.1:{}/0", free_port());
        let mut deployment = Setup::new(shape).redis_url(&nowhere).prepare().await;
        deployment.launch();

        for address in deployment.health_addresses() {
            let client = Client::plain(address, "").without_token();
            let report = eventually("it says what is missing", async || {
                let answer = client.request(Method::GET, "/readyz").send().await.ok()?;
                let report: serde_json::Value = answer.json().await.ok()?;
                report.to_string().to_lowercase().contains("redis").then_some(report)
            })
            .await;
            let missing = [&report["failing"], &report["degraded"]].map(ToString::to_string).concat().to_lowercase();
            assert!(missing.contains("redis"), "{report}");
        }
    }

    async fn media_come_and_go_while_redis_is_away(shape: Shape) {
        let mut deployment = Setup::new(shape).start().await;
        let before = deployment.alice().upload("before", "text/plain").await;
        let reserved = deployment.alice().create().await;

        // The one process has no Redis to lose: then this is an ordinary day.
        if let Some(redis) = &mut deployment.redis {
            redis.kill();
        }
        let during = deployment.alice().upload("during", "text/plain").await;

        assert_eq!(deployment.bob().download(&before).await.ok(), "before");
        assert_eq!(deployment.bob().download(&during).await.ok(), "during");
        deployment.alice().put(&reserved, "promised").await.ok();
        assert_eq!(deployment.bob().download(&reserved).await.ok(), "promised");
    }
}
