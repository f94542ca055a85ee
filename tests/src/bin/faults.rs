//! Breaks a cluster of real processes in every way and compares every byte: `faults [short] [NAME…]`. With names, only
//! the rows whose name contains one of them. Prints a table; fails if a promise was broken.

use std::{env, process::ExitCode};

use heliograph_tests::{Scale, faults, isolate};

fn main() -> ExitCode {
    isolate();
    let mut names: Vec<String> = env::args().skip(1).collect();
    let is_short = names.first().is_some_and(|name| name == "short");
    let scale = if is_short { Scale::short() } else { Scale::full() };
    names.drain(..usize::from(is_short));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(faults(scale, &names))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
