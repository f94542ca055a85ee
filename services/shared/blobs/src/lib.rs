//! Bytes at rest: one interface over every store that `object_store` speaks to.
//!
//! Knows keys and bytes; knows nothing of records or media.

mod config;
mod error;
mod key;
mod store;

pub use config::StorageConfig;
pub use error::BlobError;
pub use key::{InvalidKey, Key};
pub use store::{BlobReader, BlobStore, BlobWriter, Listing};
