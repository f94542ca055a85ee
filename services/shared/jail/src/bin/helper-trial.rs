//! A launcher of helpers for tests.

use std::{ffi::OsString, path::Path, process::ExitCode};

use heliograph_jail::{Policy, become_helper};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let policy = arguments.next().and_then(|policy| policy.to_str()?.parse::<Policy>().ok());
    let (Some(policy), Some(program)) = (policy, arguments.next()) else { return ExitCode::FAILURE };
    let arguments: Vec<OsString> = arguments.collect();
    match become_helper(&policy, Path::new(&program), arguments) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
