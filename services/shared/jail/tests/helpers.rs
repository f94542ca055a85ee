//! Programs of the system in the jail of helpers: what they can still do, and what not.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::{
    fs::File,
    io::{Seek, Write},
    net::TcpListener,
    time::Duration,
};

use heliograph_jail::{HelperError, HelperJob, Jail, Launcher, Limits, Policy, run_helper};

fn limits() -> Limits {
    Limits { memory_bytes: 512 << 20, processor: Duration::from_secs(20), open_files: 32 }
}

/// What a shell is to do, which is the helper here.
fn job(script: &str) -> HelperJob {
    HelperJob {
        program: "/bin/bash".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        policy: Policy { jail: Jail::Available, limits: limits() },
        wall: Duration::from_mins(1),
        most_output_bytes: 100_000,
    }
}

fn launcher() -> Launcher {
    Launcher { path: env!("CARGO_BIN_EXE_helper-trial").into(), arguments: Vec::new() }
}

fn input(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

async fn run(job: &HelperJob) -> Result<String, HelperError> {
    let output = run_helper(&launcher(), job, input(b"the input\n")).await?;
    Ok(String::from_utf8(output.to_vec()).unwrap())
}

/// What a shell says of a step that must fail, and that it goes on after it.
async fn refused(step: &str) -> String {
    let script = format!("exec 2>&1; {step}; echo \"then $?\"");
    run(&job(&script)).await.unwrap()
}

#[tokio::test]
async fn a_helper_reads_its_input_and_opens_it_again() {
    let script = "read line; echo \"$line\"; read again </proc/self/fd/0; echo \"$again\"";

    assert_eq!(run(&job(script)).await.unwrap(), "the input\nthe input\n");
}

#[tokio::test]
async fn a_helper_opens_no_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();

    for path in [secret.to_str().unwrap(), "/etc/passwd", "/proc/1/environ"] {
        let told = refused(&format!("read line <{path} && echo \"got $line\"")).await;
        assert!(told.contains("Permission denied") && !told.contains("got"), "{path}: {told}");
    }
    let written = folder.path().join("written");
    let told = refused(&format!("echo x >{}", written.display())).await;
    assert!(told.contains("Permission denied"), "{told}");
    assert!(!written.exists());
}

#[tokio::test]
async fn a_helper_connects_to_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();

    let told = refused(&format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected")).await;

    assert!(!told.contains("connected"), "{told}");
    assert!(listener.accept().is_err(), "somebody came");
}

#[tokio::test]
async fn a_helper_makes_no_processes_and_becomes_no_other_program() {
    let forked = run(&job("(echo forked)")).await;
    let other = run(&job("exec /bin/ls /")).await;

    assert!(!matches!(&forked, Ok(told) if told.contains("forked")), "{forked:?}");
    let Err(HelperError::Failed { words, .. }) = other else { panic!("it became another program") };
    assert!(words.contains("Permission denied"), "{words}");
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended() {
    let job = HelperJob { wall: Duration::from_millis(300), ..job("while :; do :; done") };

    assert!(matches!(run(&job).await, Err(HelperError::Time)));
}

#[tokio::test]
async fn one_that_takes_too_much_of_the_processor_is_ended() {
    let policy = Policy { limits: Limits { processor: Duration::from_secs(1), ..limits() }, ..Policy::default() };
    let job = HelperJob { policy, ..job("while :; do :; done") };

    assert!(matches!(run(&job).await, Err(HelperError::Failed { .. })));
}

#[tokio::test]
async fn one_that_writes_too_much_is_ended() {
    let outcome = run(&job("while :; do echo 0123456789012345678901234567890123456789; done")).await;

    assert!(matches!(outcome, Err(HelperError::TooMuch { most: 100_000 })), "{outcome:?}");
}

#[tokio::test]
async fn one_that_takes_too_much_memory_fails() {
    let script = "s=x; while :; do s=\"$s$s\"; [ ${#s} -lt 1000000000 ] || break; done; echo \"has ${#s}\"";

    let policy = Policy { limits: Limits { memory_bytes: 64 << 20, ..limits() }, ..Policy::default() };
    let outcome = run(&HelperJob { policy, ..job(script) }).await;

    assert!(matches!(outcome, Err(HelperError::Failed { .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_fails_tells_how_and_what_is_not_there_cannot_be_started() {
    let failed = run(&job("echo why >&2; exit 3")).await;
    let missing = run(&HelperJob { program: "/nowhere/program".into(), ..job("") }).await;
    let launcher = Launcher { path: "/nowhere/launcher".into(), arguments: Vec::new() };
    let not_started = run_helper(&launcher, &job(""), input(b"")).await;

    let Err(HelperError::Failed { status, words }) = failed else { panic!("{failed:?}") };
    assert_eq!((status.code(), words.as_str()), (Some(3), "why"));
    assert!(matches!(missing, Err(HelperError::Failed { .. })), "{missing:?}");
    assert!(matches!(not_started, Err(HelperError::NotStarted(_))), "{not_started:?}");
}
