//! The command line.

use std::{fmt, path::PathBuf};

use anyhow::anyhow;
use clap::{Parser, Subcommand, ValueEnum};
use heliograph_matrix::{KeyFileFormat, KeyId};
#[cfg(feature = "thumbnails")]
use heliograph_thumbnailer::{HELPER_COMMAND, Policy};

use crate::keys::parse_id;

/// The variable that names the settings file; no setting itself.
pub(crate) const CONFIG_VARIABLE: &str = "HELIOGRAPH_CONFIG";

/// A Matrix media repository.
///
/// Without any settings, `heliograph serve` starts in development mode: a server named
/// `localhost` with two users, whose tokens it prints.
#[derive(Debug, Parser)]
#[command(name = "heliograph", version, propagate_version = true)]
pub(crate) struct Cli {
    /// The settings file (TOML). Without it, the settings are the defaults and what the
    /// environment says.
    #[arg(long, global = true, env = CONFIG_VARIABLE, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Runs everything in one process.
    #[command(hide = !Role::Serve.is_here())]
    Serve,
    /// Runs the HTTP front alone.
    #[command(hide = !Role::Api.is_here())]
    Api,
    /// Runs the upload orchestrator alone.
    #[command(hide = !Role::Uploads.is_here())]
    Uploads,
    /// Runs the thumbnailer alone.
    #[command(hide = !Role::Thumbnails.is_here())]
    Thumbnails,
    /// Runs the federation fetcher alone.
    #[command(hide = !Role::Federation.is_here())]
    Federation,
    /// Tries, on the real things, all that the settings rely on: the store, the state, the
    /// homeservers, the other roles. Changes nothing, and ends with 1 if something does not work.
    Doctor {
        /// Prints what was found as JSON.
        #[arg(long)]
        json: bool,
        /// Prints the rules that the bucket needs (CORS, lifecycle) as commands of its cloud's
        /// tool, or as JSON, and tries nothing.
        #[arg(long)]
        print_bucket_rules: bool,
    },
    /// Asks a role on this machine whether it is ready: ends with 0 if it is, with 1 if not, and
    /// prints what is missing.
    Health {
        /// The role that is asked, where its settings say that it listens.
        #[arg(long, value_enum, default_value_t = Role::usual())]
        role: Role,
    },
    /// Runs a point of presence, near its users and far from all the others.
    #[command(hide = !Role::Edge.is_here())]
    Edge,
    /// Works on pictures, with nothing else left to it. Started by the thumbnailer, not by people.
    #[cfg(feature = "thumbnails")]
    #[command(hide = true)]
    RenderWorker {
        /// What is taken from it.
        policy: Policy,
    },
    /// Makes and shows the keys that sign our requests to other servers.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Shows and checks settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Enters a jail, and becomes a program that works on a file of a stranger. For the thumbnailer.
    #[cfg(feature = "thumbnails")]
    #[command(name = HELPER_COMMAND, hide = true)]
    BecomeHelper {
        /// What is taken from it.
        policy: Policy,
        /// The program.
        program: PathBuf,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a file with a new key that only its owner can read, and tells how to publish it. A
    /// file that is there is left alone.
    Generate {
        /// The homeserver whose format the file has.
        #[arg(long, value_enum, default_value_t = KeyFormat::Synapse)]
        format: KeyFormat,
        /// What the key is called, such as `a_AbCd`; something random without it.
        #[arg(long, value_parser = parse_id)]
        id: Option<KeyId>,
        /// A file that is there is shown instead, and that is no error.
        #[arg(long)]
        if_missing: bool,
        /// Where to put it.
        file: PathBuf,
    },
    /// Shows the public keys of a file, and tells how to publish them.
    Show {
        /// A signing key file of Heliograph, Synapse or Dendrite.
        file: PathBuf,
    },
    /// Asks the homeservers of the settings whether they publish our keys. Ends with 1 if one
    /// does not.
    Check {
        /// Prints what was found as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Whose format a key file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyFormat {
    /// A line per key.
    Synapse,
    /// PEM.
    Dendrite,
}

impl From<KeyFormat> for KeyFileFormat {
    fn from(format: KeyFormat) -> Self {
        match format {
            KeyFormat::Synapse => Self::Synapse,
            KeyFormat::Dendrite => Self::Dendrite,
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints a settings file with every key, its documentation and its default.
    Sample,
    /// Checks the settings and the files that they name, and changes nothing.
    Check {
        /// The role that the settings are for.
        #[arg(long, value_enum, default_value_t = Role::usual())]
        role: Role,
    },
    /// Prints the reference of all settings (Markdown).
    Reference,
    /// Prints the reference of all endpoints (Markdown).
    #[cfg(feature = "api")]
    Routes,
}

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything.
    Serve,
    /// The HTTP front.
    Api,
    /// The upload orchestrator.
    Uploads,
    /// The thumbnailer.
    Thumbnails,
    /// The federation fetcher.
    Federation,
    /// A point of presence.
    Edge,
}

impl Role {
    /// Whether this program has it: a feature of the build.
    pub(crate) const fn is_here(self) -> bool {
        match self {
            Self::Serve => cfg!(feature = "serve"),
            Self::Api => cfg!(feature = "api"),
            Self::Uploads => cfg!(feature = "uploads"),
            Self::Thumbnails => cfg!(feature = "thumbnails"),
            Self::Federation => cfg!(feature = "federation"),
            Self::Edge => cfg!(feature = "edge"),
        }
    }

    /// What is said to who wants one that this program has not.
    pub(crate) fn is_absent(self) -> anyhow::Error {
        let here = Self::here().map(Self::name).collect::<Vec<_>>().join(", ");
        anyhow!("this program was built without the role {self}, but with: {here}")
    }

    /// The role that is meant where none is named: everything, or in a program for one role that one.
    fn usual() -> Self {
        Self::here().next().unwrap_or(Self::Serve)
    }

    fn here() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied().filter(|role| role.is_here())
    }

    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Uploads => "uploads",
            Self::Thumbnails => "thumbnails",
            Self::Federation => "federation",
            Self::Edge => "edge",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_program_lists_the_roles_that_it_has_and_no_others() {
        let help = Cli::command().render_help().to_string();

        for role in Role::value_variants() {
            let listed = help.lines().any(|line| line.split_whitespace().next() == Some(role.name()));
            assert_eq!(listed, role.is_here(), "{role}: {help}");
        }
        assert!(Role::usual().is_here());
    }

    #[test]
    fn the_settings_file_may_stand_before_and_behind_the_command() {
        for line in [["heliograph", "--config", "a.toml", "serve"], ["heliograph", "serve", "--config", "a.toml"]] {
            assert_eq!(Cli::parse_from(line).config, Some(PathBuf::from("a.toml")));
        }
    }
}
