//! Why the process could not do what it was told, and the exit code for that.

use std::{io, process::ExitCode};

use heliograph_settings::Problems;

/// `EX_USAGE` of sysexits.h: the settings are wrong, starting again does not help.
const BAD_SETTINGS: u8 = 64;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The settings are wrong: each problem is a line.
    Settings(Problems),
    /// Anything else: one line that says what, and what to do.
    Other(anyhow::Error),
}

impl Failed {
    /// Tells the operator on stderr.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Settings(problems) => {
                eprint!("{problems}");
                ExitCode::from(BAD_SETTINGS)
            }
            Self::Other(error) => {
                eprintln!("heliograph: {}", one_line(&error));
                ExitCode::FAILURE
            }
        }
    }
}

/// The error with its causes; what has been told already is not told again.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        Self::Settings(problems)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        // Some settings are only seen to be wrong by those who use them.
        error.downcast().map_or_else(Self::Other, Self::Settings)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_bad_setting_that_is_found_late_is_one_still() {
        let mut problems = Problems::default();
        problems.push("state.redis_url", "is nonsense");

        let failed = Failed::from(anyhow::Error::from(problems.clone()));

        assert!(matches!(failed, Failed::Settings(found) if found == problems));
    }

    #[test]
    fn a_failure_is_one_line_without_repetition() {
        let error = anyhow!("permission denied").context("cannot read a: permission denied").context("cannot\n  start");

        assert_eq!(one_line(&error), "cannot start: cannot read a: permission denied");
    }
}
