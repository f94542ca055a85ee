//! Bytes at rest: one interface over every store that `object_store` speaks to.
//!
//! Knows keys and bytes; knows nothing of records or media.

mod cloud;
mod config;
mod error;
mod key;
mod local;
mod location;
mod measured;
mod meter;
mod observed;
mod pieces;
mod routed;
mod store;
#[cfg(test)]
mod suite;
#[cfg(feature = "testing")]
pub mod testing;
mod trial;

use std::{path::Path, sync::Arc};

pub use cloud::CloudStore;
pub use config::{Bucket, Cloud, ConditionalCreate, ServerSideEncryption, StorageConfig, StoreConfig, StoreUrl};
pub use error::BlobError;
pub use key::{InvalidKey, Key, store_prefix};
pub use local::LocalStore;
use measured::MeasuredStore;
pub use observed::{Observed, Observer};
pub use routed::RoutedStore;
pub use store::{BlobReader, BlobStore, BlobWriter, Grant, Listing, Stat};
pub use trial::{Needs, StoreTrials, try_store};

/// Opens the store that the settings name, without one the folder `media` in `data_folder`, and
/// the others. A bucket is asked something first.
pub async fn open_store(
    config: &StorageConfig,
    others: &[StoreConfig],
    data_folder: &Path,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let usual = match config.bucket() {
        Some(bucket) => measured(CloudStore::open(bucket, config).await?, bucket.cloud.label()),
        None => open_folder(config, data_folder)?,
    };
    let mut store = RoutedStore::new(usual);
    for other in others {
        let StoreConfig { name: Some(name), storage } = other else { continue };
        // Nothing is asked of it: what is elsewhere may be had while it is out of reach. Records
        // lie in the usual store alone, so nobody asks it who was first either.
        let opened = match storage.bucket() {
            Some(bucket) => CloudStore::unasked(bucket, storage).map(|store| measured(store, bucket.cloud.label())),
            None => open_folder(storage, data_folder),
        };
        store = store.with(name.clone(), opened.map_err(|error| error.in_store(name))?);
    }
    Ok(Arc::new(store))
}

fn open_folder(config: &StorageConfig, data_folder: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
    let folder = config.folder(data_folder).unwrap_or_else(|| data_folder.join("media"));
    Ok(measured(LocalStore::open(&folder, config)?, "folder"))
}

fn measured(store: impl BlobStore, kind: &'static str) -> Arc<dyn BlobStore> {
    Arc::new(MeasuredStore::new(Arc::new(store), kind))
}
