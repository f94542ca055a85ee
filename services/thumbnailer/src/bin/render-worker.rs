//! A render worker alone, for tests of this crate. The one that is shipped is a command of `heliograph`.

use std::process::ExitCode;

use heliograph_thumbnailer::work_in_jail;

fn main() -> ExitCode {
    let Some(Ok(policy)) = std::env::args().nth(1).map(|policy| policy.parse()) else { return ExitCode::FAILURE };
    match work_in_jail(&policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
