//! Puts roles together from their parts, and starts them.
//!
//! In `serve` the services meet without a socket; a role alone serves its contract over gRPC
//! and calls the others over links. Which of both it is, no service can tell.
//!
//! A module per role, each a feature of this crate: a program for one role has nothing of the others in it.

#[cfg(feature = "federation")]
mod advertise;
#[cfg(feature = "api")]
mod api;
#[cfg(any(feature = "uploads", feature = "thumbnails", feature = "federation"))]
mod behind;
#[cfg(feature = "edge")]
mod edge;
#[cfg(feature = "federation")]
mod federation;
mod homeserver;
#[cfg(feature = "api")]
mod identity;
#[cfg(any(feature = "api", feature = "edge"))]
mod knock;
#[cfg(any(feature = "api", feature = "federation"))]
mod links;
#[cfg(feature = "inner")]
mod parts;
#[cfg(feature = "serve")]
mod serve;
#[cfg(any(feature = "inner", feature = "edge"))]
mod store_lock;
#[cfg(any(feature = "api", feature = "federation"))]
mod tenants;
#[cfg(feature = "thumbnails")]
mod thumbnails;
#[cfg(feature = "uploads")]
mod uploads;

use anyhow::Context;
use heliograph_runtime::{Life, Metrics, Telemetry};

pub(crate) use self::homeserver::homeserver;
use crate::{cli::Role, failure::Failed, settings::Settings};

/// Starts a role; returns when it listens.
#[cfg_attr(not(feature = "inner"), expect(clippy::unused_async, reason = "an edge starts without waiting"))]
pub(crate) async fn start(settings: Settings, role: Role, life: Life) -> Result<(), Failed> {
    // Two libraries ask for TLS; both shall use this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = Telemetry::start(&settings.telemetry, service_name(role)).context("telemetry")?;
    life.at_the_end(telemetry.flush());
    for (key, doubt) in settings.doubts() {
        tracing::warn!("{key}: {doubt}");
    }
    let metrics = Metrics::install(role.name(), env!("CARGO_PKG_VERSION")).context("telemetry")?;
    life.tasks.spawn(metrics.clone().keep_up(life.idle.clone()));
    match role {
        #[cfg(feature = "serve")]
        Role::Serve => serve::start(settings, life.clone(), metrics).await?,
        #[cfg(feature = "api")]
        Role::Api => api::start(settings, life.clone(), metrics).await?,
        #[cfg(feature = "uploads")]
        Role::Uploads => uploads::start(settings, life.clone(), metrics).await?,
        #[cfg(feature = "thumbnails")]
        Role::Thumbnails => thumbnails::start(settings, life.clone(), metrics).await?,
        #[cfg(feature = "federation")]
        Role::Federation => federation::start(settings, life.clone(), metrics).await?,
        #[cfg(feature = "edge")]
        Role::Edge => edge::start(&settings, &life, metrics)?,
        #[cfg(not(all(feature = "serve", feature = "edge")))]
        absent => return Err(absent.is_absent().into()),
    }
    // Only now: everything that can be asked has been registered.
    life.tasks.spawn(life.readiness.clone().watch(life.idle.clone()));
    Ok(())
}

const fn service_name(role: Role) -> &'static str {
    match role {
        Role::Serve => "heliograph",
        Role::Api => "heliograph-api",
        Role::Uploads => "heliograph-uploads",
        Role::Thumbnails => "heliograph-thumbnails",
        Role::Federation => "heliograph-federation",
        Role::Edge => "heliograph-edge",
    }
}
