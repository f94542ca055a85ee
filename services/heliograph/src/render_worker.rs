//! Worker processes for pictures: this same program, by commands that people do not use.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use heliograph_thumbnailer::{Policy, Workers, work_in_jail};

use crate::failure::Failed;

/// The command, as it is spelled on the command line.
const COMMAND: &str = "render-worker";
/// This very file, even when another has taken its place meanwhile, and whatever its path is in a container.
const MYSELF: &str = "/proc/self/exe";

/// How they are started.
pub(crate) fn render_workers() -> Workers {
    let by_system = Some(PathBuf::from(MYSELF)).filter(|path| path.exists());
    let path = by_system.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| Path::new("heliograph").to_owned());
    Workers { path, arguments: vec![COMMAND.to_owned()] }
}

/// Is one, until its parent hangs up.
pub(crate) fn work(policy: &Policy) -> Result<ExitCode, Failed> {
    work_in_jail(policy).map_err(anyhow::Error::from)?;
    Ok(ExitCode::SUCCESS)
}

/// Becomes a program that makes pictures of what is none, in a jail.
pub(crate) fn become_helper(policy: &Policy, program: &Path, arguments: &[OsString]) -> Result<ExitCode, Failed> {
    let become_it = heliograph_jail::become_helper(policy, program, arguments.iter().cloned());
    match become_it.map_err(anyhow::Error::from)? {}
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_worker_understands_how_it_is_started() {
        let policy = Policy::default();

        let cli = Cli::parse_from(["heliograph", COMMAND, &policy.to_string()]);

        assert!(matches!(cli.command, Command::RenderWorker { policy: read } if read == policy));
    }
}
