//! Thumbnails: has pictures worked on, and keeps what comes out.
//!
//! Owns the pool of render workers, processes in a jail, and the thumbnails in the store, which can all be
//! deleted at any time; says what pictures look like from afar. Never answers the bytes of an original: what comes out was encoded
//! here. Reads records, writes none; knows no network.

mod actors;
mod bench;
mod config;
mod error;
mod file;
mod flights;
mod helpers;
mod memory;
mod metrics;
mod refusals;
mod service;
mod wanted;
mod worker;
mod workers;

pub use config::{JailChoice, ThumbnailsConfig};
pub use heliograph_imaging::sample_picture;
pub use heliograph_jail::{Policy, Support};
pub use helpers::{HELPER_COMMAND, try_helpers};
pub use service::{Deps, Thumbnailer};
pub use worker::{WorkerError, work_in_jail};
pub use workers::{CannotStart, Workers};
