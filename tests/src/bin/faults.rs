//! Breaks a cluster of real processes in every way and compares every byte: `faults [short] [NAME…]`. With names, only
//! the rows whose name contains one of them. Prints a table; fails if a promise was broken.

use std::{env, process::ExitCode};

use heliograph_tests::{Scale, faults, isolate};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    isolate();
    let mut names: Vec<String> = env::args().skip(1).collect();
    let is_short = names.first().is_some_and(|name| name == "short");
    let scale = if is_short { Scale::short() } else { Scale::full() };
    names.drain(..usize::from(is_short));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(unless_interrupted(faults(scale, &names)))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As the first process of its process table, it would not notice by itself.
async fn unless_interrupted(run: impl Future<Output = bool>) -> bool {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return false;
    };
    tokio::select! {
        is_clean = run => is_clean,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    }
}
