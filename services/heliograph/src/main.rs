//! The binary: one role, or all of them in one process, and the operator's commands.
//!
//! Owns the command line, the settings as a whole and the wiring; knows no protocol.

mod assemble;
mod cli;
mod commands;
#[cfg(any(feature = "serve", feature = "edge"))]
mod data_folder;
#[cfg(feature = "serve")]
mod development;
mod doctor;
mod failure;
mod health;
mod keys;
mod memory;
#[cfg(feature = "thumbnails")]
mod render_worker;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, failure::Failed};

fn main() -> ExitCode {
    memory::share_arenas();
    commands::execute(&Cli::parse()).unwrap_or_else(Failed::report)
}
