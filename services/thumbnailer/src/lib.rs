//! Thumbnails: has pictures worked on, and keeps what comes out.
//!
//! Owns the pool of render workers, processes in a jail, and the thumbnails in the store, which can all be
//! deleted at any time; says what pictures look like from afar. Never answers the bytes of an original: what comes out was encoded
//! here. Reads records, writes none; knows no network.
//!
//! Without the feature `service` it is its settings alone.

#[cfg(feature = "service")]
mod actors;
#[cfg(feature = "service")]
mod bench;
mod config;
#[cfg(feature = "service")]
mod error;
#[cfg(feature = "service")]
mod file;
#[cfg(feature = "service")]
mod flights;
#[cfg(feature = "service")]
mod helpers;
#[cfg(feature = "service")]
mod memory;
#[cfg(feature = "service")]
mod metrics;
#[cfg(feature = "service")]
mod refusals;
#[cfg(feature = "service")]
mod service;
#[cfg(feature = "service")]
mod wanted;
#[cfg(feature = "service")]
mod worker;
#[cfg(feature = "service")]
mod workers;

pub use config::{JailChoice, ThumbnailsConfig};
#[cfg(feature = "service")]
pub use {
    heliograph_imaging::sample_picture,
    heliograph_jail::{Policy, Support},
    helpers::{HELPER_COMMAND, try_helpers},
    service::{Deps, Thumbnailer},
    worker::{WorkerError, work_in_jail},
    workers::{CannotStart, Workers},
};
