//! Bytes at rest: one interface over every store that `object_store` speaks to.
//!
//! Knows keys and bytes; knows nothing of records or media.

mod cloud;
mod config;
mod error;
mod key;
mod local;
mod location;
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
    let mut store = RoutedStore::new(open_one(config, data_folder).await?);
    for other in others {
        let StoreConfig { name: Some(name), storage } = other else { continue };
        // Records lie in the usual store alone: nobody asks here who was first.
        let storage = StorageConfig { conditional_create: ConditionalCreate::Never, ..storage.clone() };
        let opened = open_one(&storage, data_folder).await.map_err(|error| error.in_store(name))?;
        store = store.with(name.clone(), opened);
    }
    Ok(Arc::new(store))
}

async fn open_one(config: &StorageConfig, data_folder: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
    if let Some(bucket) = config.bucket() {
        return Ok(Arc::new(CloudStore::open(bucket, config).await?));
    }
    let folder = config.folder(data_folder).unwrap_or_else(|| data_folder.join("media"));
    Ok(Arc::new(LocalStore::open(&folder, config)?))
}
