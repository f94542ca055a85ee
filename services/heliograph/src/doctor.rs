//! `heliograph doctor`: tries, on the real things, all that we rely on.
//!
//! Everything is tried at once, each within a time limit, whatever else fails; nothing is left
//! behind. What each trial does is known by the crate whose thing it is.

mod files;
mod homeserver;
#[cfg(feature = "thumbnails")]
mod pictures;
mod report;
mod roles;
mod rules;
mod state;

use std::{future::Future, io, path::Path, process::ExitCode, time::Duration};

use heliograph_blobs::{Needs, StorageConfig, try_store};
use heliograph_types::{Finding, Trial};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::report::{Group, Report, Tried};
pub(crate) use self::rules::print_rules;
use crate::{failure::Failed, settings::Settings};

/// No trial may take longer.
const LIMIT: Duration = Duration::from_secs(10);
/// What the shell shows for a process that was interrupted.
const INTERRUPTED: i32 = 130;
/// What has not ended by then is cut off with the process.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Something that we rely on, and what to try of it.
struct Patient {
    name: String,
    place: String,
    trials: Vec<Trial>,
    clean_up: Option<Trial>,
}

impl Patient {
    fn new(name: impl Into<String>, place: impl Into<String>, trials: Vec<Trial>) -> Self {
        Self { name: name.into(), place: place.into(), trials, clean_up: None }
    }
}

/// Tries everything, and gives what is to be printed and how to end.
pub(crate) fn examine(settings: &Settings, as_json: bool) -> Result<(String, ExitCode), Failed> {
    run(|| patients(settings), as_json)
}

/// Tries only whether our keys are published.
pub(crate) fn examine_keys(settings: &Settings, as_json: bool) -> Result<(String, ExitCode), Failed> {
    run(|| homeserver::key_patients(settings), as_json)
}

/// `patients` is called on the runtime of the trials.
fn run(patients: impl FnOnce() -> Vec<Patient>, as_json: bool) -> Result<(String, ExitCode), Failed> {
    // Two libraries ask for TLS; both shall use this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let interrupts = signal(SignalKind::interrupt())?;
        let watch = AbortOnDropHandle::new(Handle::current().spawn(defer_end(interrupts)));
        let report = try_everything(patients()).await;
        drop(watch);
        Ok::<_, io::Error>(report)
    })?;
    runtime.shutdown_timeout(LAST_WORK);
    let text = if as_json { report.as_json() } else { report.as_text() };
    let code = if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    Ok((text, code))
}

/// Everything ends soon by itself, and leaves nothing behind only then.
async fn defer_end(mut interrupts: Signal) {
    interrupts.recv().await;
    eprintln!("heliograph: ending: removing what was written for the trials; another signal ends at once");
    interrupts.recv().await;
    std::process::exit(INTERRUPTED);
}

fn patients(settings: &Settings) -> Vec<Patient> {
    let mut patients: Vec<Patient> = doubts(settings).into_iter().collect();
    for (name, config) in stores(settings) {
        patients.push(store(name, config, settings));
    }
    patients.push(files::patient(settings));
    patients.push(state::patient(settings));
    patients.extend(homeserver::patients(settings));
    #[cfg(feature = "thumbnails")]
    patients.extend(pictures::helpers(&settings.thumbnails));
    patients.extend(roles::patient(&settings.cluster));
    patients
}

async fn try_everything(patients: Vec<Patient>) -> Report {
    let tasks = TaskTracker::new();
    let running: Vec<_> = patients.into_iter().map(|patient| tasks.spawn(try_all(patient, tasks.clone()))).collect();
    let mut groups = Vec::new();
    for group in running {
        match group.await {
            Ok(group) => groups.push(group),
            Err(error) => groups.push(Group::broken(&error.to_string())),
        }
    }
    Report { groups }
}

/// What the settings themselves show, if anything.
fn doubts(settings: &Settings) -> Option<Patient> {
    let found = settings.doubts().into_iter().map(|(key, doubt)| {
        let finding = Finding::note(doubt, format!("set {key} as you mean it"));
        Trial::new(key, async { finding })
    });
    let trials: Vec<Trial> = found.collect();
    (!trials.is_empty()).then(|| Patient::new("settings", "", trials))
}

/// Every store, by its name in the report.
fn stores(settings: &Settings) -> Vec<(String, &StorageConfig)> {
    let further = settings.stores.iter().map(|store| {
        let name = store.name.as_ref().map_or_else(String::new, ToString::to_string);
        (format!("store {name}"), &store.storage)
    });
    std::iter::once(("store".to_owned(), &settings.storage)).chain(further).collect()
}

fn store(name: String, config: &StorageConfig, settings: &Settings) -> Patient {
    let needs = Needs { direct_uploads: settings.uploads.direct, shared_state: settings.state.redis_url.is_some() };
    let tried = try_store(config, &absolute(&settings.data.folder), needs);
    Patient { name, place: tried.place, trials: tried.trials, clean_up: tried.clean_up }
}

fn absolute(folder: &Path) -> std::path::PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// All trials of one thing at once, and then the end.
async fn try_all(patient: Patient, tasks: TaskTracker) -> Group {
    let trials = patient.trials.into_iter();
    let running: Vec<_> = trials.map(|trial| (trial.name, tasks.spawn(limited(trial.run)))).collect();
    let mut tried = Vec::new();
    for (name, trial) in running {
        tried.push(Tried { name, finding: trial.await.unwrap_or_else(|error| broken(&error.to_string())) });
    }
    if let Some(Trial { name, run }) = patient.clean_up {
        tried.push(Tried { name, finding: limited(run).await });
    }
    Group { name: patient.name, place: patient.place, tried }
}

async fn limited(trial: impl Future<Output = Finding>) -> Finding {
    timeout(LIMIT, trial).await.unwrap_or_else(|_| {
        let told = format!("no answer within {} s", LIMIT.as_secs());
        Finding::fail(told, "see whether it runs and can be reached from here, and how slow the way there is")
    })
}

/// A trial has a fault of its own.
fn broken(error: &str) -> Finding {
    Finding::fail(format!("the trial itself failed: {error}"), "tell us")
}
