//! Worker processes for pictures: this same program, by a command that people do not use.

use std::path::{Path, PathBuf};

use heliograph_thumbnailer::Workers;

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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use heliograph_thumbnailer::Policy;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_worker_understands_how_it_is_started() {
        let policy = Policy::default();

        let cli = Cli::parse_from(["heliograph", COMMAND, &policy.to_string()]);

        assert!(matches!(cli.command, Command::RenderWorker { policy: read } if read == policy));
    }
}
