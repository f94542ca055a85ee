//! Thumbnails: the only crate that decodes pictures.
//!
//! Owns the pool of render workers and the thumbnails in the store, which can all be
//! deleted at any time; says what pictures look like from afar. Never answers the bytes of an original: what comes out was encoded
//! here. Reads records, writes none; knows no network.

mod actors;
mod config;
mod decode;
mod describe;
mod encode;
mod error;
mod flights;
mod geometry;
mod metrics;
mod orientation;
mod picture;
mod refusals;
mod render;
mod resize;
mod sample;
mod service;
#[cfg(test)]
mod testing;

pub use config::ThumbnailsConfig;
pub use sample::sample_picture;
pub use service::{Deps, Thumbnailer, render_here};
