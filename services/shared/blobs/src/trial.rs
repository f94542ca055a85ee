//! Trying out what we rely on, on the store itself: for `heliograph doctor`.
//!
//! All of it is written below a place of its own (`trial/<random>`), which is emptied in the end.

mod bucket;
mod cors;
mod explain;
mod folder;
mod http;
mod url;

use std::path::Path;

use heliograph_types::{Finding, Trial};

use crate::StorageConfig;

/// What others ask of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Clients put content there themselves (`uploads.direct`).
    pub direct_uploads: bool,
    /// Processes share their state (`state.redis_url`).
    pub shared_state: bool,
}

/// What there is to try of one store.
#[derive(Debug)]
pub struct StoreTrials {
    /// Which store: no secret is in it.
    pub place: String,
    /// What to try. None needs another.
    pub trials: Vec<Trial>,
    /// Removes what they have written. To be run when they have ended, in whatever way.
    pub clean_up: Option<Trial>,
}

/// The trials of the store that the settings name. Call it where they are to run: on a runtime.
pub fn try_store(config: &StorageConfig, data_folder: &Path, needs: Needs) -> StoreTrials {
    match (config.bucket(), config.folder(data_folder)) {
        (None, Some(folder)) => folder::trials(&folder, config),
        (Some(bucket), _) => bucket::trials(bucket, config, needs),
        (None, None) => StoreTrials { place: String::new(), trials: Vec::new(), clean_up: None },
    }
}

/// How a trial ends: early with `?`, or to its end.
type Outcome = Result<Finding, Finding>;

fn either(outcome: Outcome) -> Finding {
    outcome.unwrap_or_else(|finding| finding)
}

/// A place that nobody else uses.
fn new_place() -> String {
    format!("trial/{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests;
