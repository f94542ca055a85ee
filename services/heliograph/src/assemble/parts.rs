//! What every role needs: the store, the shared state, the records.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use heliograph_blobs::{BlobStore, open_store};
use heliograph_catalog::Catalog;
use heliograph_leases::{EmbeddedState, RedisState, State};
use heliograph_runtime::{Health, Life, Metrics};
use heliograph_settings::Problems;
use heliograph_types::{Clock, SystemClock};

use super::store_lock;
use crate::settings::Settings;

/// The parts that roles are put together from.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) life: Life,
    pub(super) health: Health,
    #[cfg_attr(
        not(any(feature = "api", feature = "uploads", feature = "federation")),
        expect(dead_code, reason = "of roles that this program has not")
    )]
    pub(super) clock: Arc<dyn Clock>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) state: State,
    pub(super) catalog: Arc<Catalog>,
    /// True if no other process works in the store.
    #[cfg_attr(not(feature = "uploads"), expect(dead_code, reason = "of roles that this program has not"))]
    pub(super) is_alone: bool,
}

impl Parts {
    /// Opens what the settings name. `folder` is the data folder.
    pub(super) async fn open(
        settings: Arc<Settings>,
        folder: &Path,
        life: Life,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = open_state(&settings, folder, &life, &clock)?;
        let blobs = open_blobs(&settings, folder, &life).await?;
        let is_alone = settings.state.redis_url.is_none() && claim_stores(&settings, folder)?;
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), State::clone(&state), Arc::clone(&clock)));
        life.tasks.spawn(Arc::clone(&catalog).watch(life.idle.clone()));
        let health = Health { readiness: life.readiness.clone(), metrics };
        Ok(Self { settings, life, health, clock, blobs, state, catalog, is_alone })
    }
}

/// Keeps every store for this process until its end; false if one is a bucket, or its file
/// system cannot.
fn claim_stores(settings: &Settings, folder: &Path) -> anyhow::Result<bool> {
    let others = settings.stores.iter().map(|store| &store.storage);
    let mut is_alone = true;
    for storage in std::iter::once(&settings.storage).chain(others) {
        let claimed = storage.folder(folder).map(|store| store_lock::claim(&store)).transpose()?.flatten();
        is_alone &= claimed.is_some();
        // Never let go of: what was cut off at the end may write until the process is gone.
        std::mem::forget(claimed);
    }
    Ok(is_alone)
}

fn open_state(settings: &Settings, folder: &Path, life: &Life, clock: &Arc<dyn Clock>) -> anyhow::Result<State> {
    if settings.state.redis_url.is_none() {
        // Opening it also sees to it that no other process works in this folder.
        let state = EmbeddedState::open(&folder.join("state.redb"), Arc::clone(clock)).context(
            "cannot open the state in the data folder; choose another with data.folder, or stop who uses it",
        )?;
        return Ok(Arc::new(state));
    }
    let state = RedisState::connect(&settings.state, &life.tasks, life.idle.clone()).map_err(|error| {
        // Whether Redis is up is not asked here: only its settings can be wrong.
        let mut problems = Problems::default();
        let key = error.context.strip_prefix("setting ").unwrap_or("redis_url");
        problems.push(format!("state.{key}"), error.reason);
        problems
    })?;
    let state = Arc::new(state);
    let asked = Arc::clone(&state);
    life.readiness.prefer("redis", "start it, or correct state.redis_url", move || {
        let state = Arc::clone(&asked);
        async move { state.ping().await.map_err(|error| error.to_string()) }
    });
    Ok(state)
}

const BUCKET_ADVICE: &str = "look at the store and at what its keys may do, or correct its url and what goes with it";

async fn open_blobs(settings: &Settings, folder: &Path, life: &Life) -> anyhow::Result<Arc<dyn BlobStore>> {
    let opened = open_store(&settings.storage, &settings.stores, folder).await;
    let blobs = opened.context("cannot open the media store, see storage.url and [[store]]")?;
    blobs.check().await.context("cannot write to the media store, see storage.url and [[store]]")?;
    let is_bucket = settings.storage.bucket().is_some();
    match (is_bucket, blobs.creates_are_atomic()) {
        (false, _) => {}
        (true, true) => tracing::info!("of concurrent creates the bucket lets one win"),
        (true, false) => tracing::warn!(
            "the bucket does not decide which of several concurrent creates wins: a lease does, so that nothing new is \
             stored while state.redis_url is out of reach"
        ),
    }
    let advice = if is_bucket { BUCKET_ADVICE } else { "look at its disk and its permissions, or correct storage.url" };
    let asked = Arc::clone(&blobs);
    life.readiness.require("store", advice, move || {
        let blobs = Arc::clone(&asked);
        async move { blobs.check().await.map_err(|error| error.to_string()) }
    });
    if !settings.stores.is_empty() {
        let asked = Arc::clone(&blobs);
        // What lies elsewhere can be had without them.
        life.readiness.prefer("further stores", BUCKET_ADVICE, move || {
            let blobs = Arc::clone(&asked);
            async move { blobs.check_others().await.map_err(|error| error.to_string()) }
        });
    }
    Ok(blobs)
}
