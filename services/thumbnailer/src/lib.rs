//! Thumbnails: has pictures worked on, and keeps what comes out.
//!
//! Owns the pool of render workers and the thumbnails in the store, which can all be
//! deleted at any time; says what pictures look like from afar. Never answers the bytes of an original: what comes out was encoded
//! here. Reads records, writes none; knows no network.

mod actors;
mod bench;
mod config;
mod error;
mod flights;
mod metrics;
mod refusals;
mod service;
mod wanted;

pub use config::ThumbnailsConfig;
pub use heliograph_imaging::sample_picture;
pub use service::{Deps, Thumbnailer};
