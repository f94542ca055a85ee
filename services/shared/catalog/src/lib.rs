//! Records of media: what a media id means, who may fill it, and where its bytes are.
//!
//! Reads and writes JSON objects in the store; knows no upload in progress.

mod catalog;
mod exclusive;
mod keys;
mod record;
mod remembered;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, CatalogError, Lookup};
pub use keys::{blob_key, incoming_key, incoming_prefix, record_key, thumbnail_key, thumbnails_prefix};
pub use record::{Marker, MediaRecord, Reserved, Verdict};
pub use remembered::Change;
