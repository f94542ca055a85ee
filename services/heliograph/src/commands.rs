//! The operator's commands. Those about settings touch nothing but the files named; `doctor` leaves
//! everything as it was; `keys` makes files that were not there.

use std::{env, fs, path::Path, process::ExitCode};

use heliograph_runtime::Ended;
use heliograph_settings::Problems;

#[cfg(feature = "thumbnails")]
use crate::render_worker;
use crate::{
    assemble,
    cli::{CONFIG_VARIABLE, Cli, Command, ConfigCommand, KeysCommand, Role},
    doctor::{examine, examine_keys, print_rules},
    failure::Failed,
    health, keys,
    settings::{Settings, reference, sample},
};

/// Does what the command line says.
pub(crate) fn execute(cli: &Cli) -> Result<ExitCode, Failed> {
    let file = cli.config.as_deref().filter(|path| !path.as_os_str().is_empty());
    let role = match &cli.command {
        Command::Config(ConfigCommand::Sample) => return Ok(show(&sample())),
        Command::Config(ConfigCommand::Reference) => return Ok(show(&reference())),
        #[cfg(feature = "api")]
        Command::Config(ConfigCommand::Routes) => return Ok(show(&heliograph_api::reference())),
        Command::Config(ConfigCommand::Check { role }) => return check(file, *role),
        Command::Doctor { json, print_bucket_rules } => return doctor(file, *json, *print_bucket_rules),
        Command::Health { role } => return health(file, *role),
        Command::Keys(command) => return keys(file, command),
        #[cfg(feature = "thumbnails")]
        Command::BecomeHelper { policy, program, arguments } => {
            return render_worker::become_helper(policy, program, arguments);
        }
        #[cfg(feature = "thumbnails")]
        Command::RenderWorker { policy } => return render_worker::work(policy),
        Command::Serve => Role::Serve,
        Command::Api => Role::Api,
        Command::Uploads => Role::Uploads,
        Command::Thumbnails => Role::Thumbnails,
        Command::Federation => Role::Federation,
        Command::Edge => Role::Edge,
    };
    if !role.is_here() {
        return Err(role.is_absent().into());
    }
    run_role(load(file, role)?, role)
}

fn run_role(settings: Settings, role: Role) -> Result<ExitCode, Failed> {
    let process = settings.process.clone();
    match heliograph_runtime::run::<Failed, _>(&process, |life| assemble::start(settings, role, life))? {
        Ended::Finished | Ended::CutOff => Ok(ExitCode::SUCCESS),
        // Has been logged when it happened.
        Ended::Failed(_) => Ok(ExitCode::FAILURE),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn show(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn check(file: Option<&Path>, role: Role) -> Result<ExitCode, Failed> {
    load(file, role)?;
    Ok(show("the settings are good\n"))
}

fn doctor(file: Option<&Path>, json: bool, print_bucket_rules: bool) -> Result<ExitCode, Failed> {
    let settings = load(file, Role::Serve)?;
    if print_bucket_rules {
        return Ok(show(&print_rules(&settings.storage, json)?));
    }
    let (report, code) = examine(&settings, json)?;
    show(&report);
    Ok(code)
}

fn keys(settings_file: Option<&Path>, command: &KeysCommand) -> Result<ExitCode, Failed> {
    match command {
        // Whoever wants one if there is none is content with one.
        KeysCommand::Generate { if_missing: true, file, .. } if file.exists() => Ok(show(&keys::show(file)?)),
        KeysCommand::Generate { format, id, file, .. } => {
            Ok(show(&keys::generate(file, (*format).into(), id.as_ref())?))
        }
        KeysCommand::Show { file } => Ok(show(&keys::show(file)?)),
        KeysCommand::Check { json } => {
            let (report, code) = examine_keys(&load(settings_file, Role::Serve)?, *json)?;
            show(&report);
            Ok(code)
        }
    }
}

fn health(file: Option<&Path>, role: Role) -> Result<ExitCode, Failed> {
    let (report, code) = health::ask(&load(file, role)?, role)?;
    show(&report);
    Ok(code)
}

/// The settings of this process, from the file and the environment.
fn load(file: Option<&Path>, role: Role) -> Result<Settings, Problems> {
    let text = match file {
        None => String::new(),
        Some(path) => fs::read_to_string(path).map_err(|error| {
            let mut problems = Problems::default();
            problems.push("--config", format!("cannot read {}: {error}", path.display()));
            problems
        })?,
    };
    // What is no Unicode cannot be one of ours.
    let environment =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Settings::load_with_files(&text, environment, &[CONFIG_VARIABLE], role)
}
