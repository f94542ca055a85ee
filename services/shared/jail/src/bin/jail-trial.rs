//! A worker for tests: it does what its jail is there to prevent, by request.

use std::{
    fs::File,
    hint::black_box,
    net::TcpStream,
    os::unix::net::UnixStream,
    process::{Command, ExitCode, abort},
    thread,
    time::Duration,
};

use heliograph_jail::{Answer, Policy, Request, enter, serve};

fn main() -> ExitCode {
    let policy: Policy = std::env::args().nth(1).and_then(|policy| policy.parse().ok()).unwrap_or_default();
    match enter(&policy).map(|jailed| serve(&jailed, answer)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What came of trying: for what must not work, that it did not.
fn answer(request: &Request<'_>) -> Answer {
    let attempt = String::from_utf8_lossy(request.head);
    let (name, argument) = attempt.split_once(' ').unwrap_or((&attempt, ""));
    let number = || argument.parse::<usize>().unwrap_or_default();
    let file = request.file.map(heliograph_jail::Mapping::bytes).unwrap_or_default();
    match name {
        "echo" => return Answer { head: argument.into(), payload: vec![file.to_vec().into()] },
        "sum" => return said(&file.iter().fold(0_u64, |sum, byte| sum + u64::from(*byte))),
        "allocate" => return said(&black_box(vec![1_u8; number()]).len()),
        "payload" => return Answer { head: Vec::new(), payload: vec![vec![0; number()].into()] },
        "spin" => loop {
            black_box(());
        },
        "sleep" => thread::sleep(Duration::from_hours(1)),
        "panic" => panic!("on purpose"),
        "abort" => abort(),
        "exit" => std::process::exit(7),
        _ => {}
    }
    match name {
        "open" => outcome(&File::open(argument)),
        "create" => outcome(&File::create(argument)),
        "connect" => outcome(&TcpStream::connect(argument)),
        "connect_local" => outcome(&UnixStream::connect(argument)),
        "fork" => outcome(&thread::Builder::new().spawn(|| ()).map(thread::JoinHandle::join)),
        "exec" => outcome(&Command::new("/bin/true").status()),
        "list" => outcome(&std::fs::read_dir("/")),
        _ => outcome(&Err::<(), _>("no such attempt")),
    }
}

fn said(what: &impl ToString) -> Answer {
    Answer { head: what.to_string().into(), payload: Vec::new() }
}

fn outcome<T, E>(attempt: &Result<T, E>) -> Answer {
    said(&if attempt.is_ok() { "done" } else { "refused" })
}
