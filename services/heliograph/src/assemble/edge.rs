//! A point of presence: its cache folder, and the way to the core.

use std::sync::Arc;

use anyhow::anyhow;
use heliograph_edge::Deps;
use heliograph_runtime::{Health, Life, Metrics, bind};
use heliograph_types::SystemClock;

use super::{knock::knock, store_lock};
use crate::{data_folder, settings::Settings};

/// Starts it; returns when it listens.
pub(super) fn start(settings: &Settings, life: &Life, metrics: Metrics) -> anyhow::Result<()> {
    let config = settings.edge.clone();
    let upstream = config.upstream.clone().ok_or_else(|| anyhow!("edge.upstream is required"))?;
    let listener = bind(config.listen, "edge.listen")?;
    let folder = config.cache_folder.clone().unwrap_or_else(|| settings.data.folder.join("edge"));
    let folder = data_folder::prepare(&folder)?;
    // Never let go of: what was cut off at the end may write until the process is gone.
    if let Some(claimed) = store_lock::claim_cache(&folder)? {
        std::mem::forget(claimed);
    }
    life.readiness.require("core", "start it, or correct edge.upstream", move || knock(upstream.clone()));
    let deps = Deps {
        cache_folder: folder,
        health: Health { readiness: life.readiness.clone(), metrics },
        clock: Arc::new(SystemClock),
        runtime: tokio::runtime::Handle::current(),
        tasks: life.tasks.clone(),
        shutdown: life.shutdown.clone(),
    };
    let listen = listener.local_addr()?;
    life.serve("HTTP", heliograph_edge::serve(config, deps, listener));
    tracing::info!(%listen, "heliograph edge serves");
    Ok(())
}
