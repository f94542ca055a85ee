//! Several stores as one: each key says where it is.
//!
//! All records, and all that has to be found by one creation, lie in the usual store. Others,
//! such as those of other regions, hold the bytes of some media.

use std::{collections::BTreeMap, fs::File, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use heliograph_types::{StoreName, Timestamp};
use url::Url;

use crate::{BlobError, BlobReader, BlobStore, BlobWriter, Grant, Key, Listing, Stat, key::store_prefix};

/// The usual store, and others by their names.
#[derive(Debug)]
pub struct RoutedStore {
    usual: Arc<dyn BlobStore>,
    others: BTreeMap<StoreName, Arc<dyn BlobStore>>,
}

/// Where a key leads.
struct Place<'a> {
    store: &'a dyn BlobStore,
    /// Without what says which store it is.
    key: Key,
    /// `None` in the usual store.
    name: Option<&'a StoreName>,
}

impl RoutedStore {
    /// With no other store than the usual one.
    pub fn new(usual: Arc<dyn BlobStore>) -> Self {
        Self { usual, others: BTreeMap::new() }
    }

    /// With one more: what begins with `store_prefix` of its name lies there.
    #[must_use]
    pub fn with(mut self, name: StoreName, store: Arc<dyn BlobStore>) -> Self {
        self.others.insert(name, store);
        self
    }

    fn find(&self, key: &Key) -> Result<Place<'_>, BlobError> {
        let Some((name, rest)) = key.routed() else {
            return Ok(Place { store: &*self.usual, key: key.clone(), name: None });
        };
        let failed = |source: String| BlobError::Failed { key: key.to_string(), source: source.into() };
        let Some((name, store)) = self.others.iter().find(|(known, _)| known.as_str() == name) else {
            return Err(failed(format!("there is no store {name}: add it again as a [[store]] with this name")));
        };
        let key = Key::new(rest).map_err(|error| failed(error.to_string()))?;
        Ok(Place { store: &**store, key, name: Some(name) })
    }
}

impl Place<'_> {
    /// A result, with the name of the store if it is an error.
    fn told<T>(&self, result: Result<T, BlobError>) -> Result<T, BlobError> {
        result.map_err(|error| told(self.name, error))
    }
}

fn told(name: Option<&StoreName>, error: BlobError) -> BlobError {
    match name {
        Some(name) => error.in_store(name),
        None => error,
    }
}

#[async_trait]
impl BlobStore for RoutedStore {
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let place = self.find(key)?;
        place.told(place.store.create(&place.key, content).await)
    }

    async fn create_quickly(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let place = self.find(key)?;
        place.told(place.store.create_quickly(&place.key, content).await)
    }

    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let place = self.find(key)?;
        place.told(place.store.put(&place.key, content).await)
    }

    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError> {
        let place = self.find(key)?;
        place.told(place.store.get(&place.key, most_bytes).await)
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        let place = self.find(key)?;
        place.told(place.store.size_of(&place.key).await)
    }

    async fn stat(&self, key: &Key) -> Result<Stat, BlobError> {
        let place = self.find(key)?;
        place.told(place.store.stat(&place.key).await)
    }

    /// Only within one store.
    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError> {
        let (place, target) = (self.find(from)?, self.find(to)?);
        if place.name != target.name {
            let source = format!("{to} is in another store, and no store copies into another").into();
            return Err(BlobError::Failed { key: from.to_string(), source });
        }
        place.told(place.store.copy(&place.key, &target.key).await)
    }

    async fn presign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, BlobError> {
        let place = self.find(key)?;
        place.told(place.store.presign(&place.key, grant, lifetime).await)
    }

    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError> {
        let place = self.find(key)?;
        let reader = place.told(place.store.open(&place.key, range).await)?;
        let Some(name) = place.name.cloned() else { return Ok(reader) };
        Ok(Box::pin(reader.map_err(move |error| error.in_store(&name))))
    }

    async fn open_file(&self, key: &Key) -> Result<Option<File>, BlobError> {
        let place = self.find(key)?;
        place.told(place.store.open_file(&place.key).await)
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError> {
        let place = self.find(key)?;
        let writer = place.told(place.store.begin(&place.key).await)?;
        let Some(name) = place.name.cloned() else { return Ok(writer) };
        Ok(Box::new(NamedWriter { name, writer }))
    }

    async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        let place = self.find(key)?;
        place.told(place.store.delete(&place.key).await)
    }

    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError> {
        let place = self.find(key)?;
        place.told(place.store.clear_leftovers(&place.key).await)
    }

    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError> {
        if let Some(prefix) = prefix {
            let place = self.find(prefix)?;
            return place.told(place.store.clear_staged(Some(&place.key), older_than).await);
        }
        let mut cleared = self.usual.clear_staged(None, older_than).await?;
        for (name, store) in &self.others {
            cleared += store.clear_staged(None, older_than).await.map_err(|error| error.in_store(name))?;
        }
        Ok(cleared)
    }

    fn list(&self, prefix: &Key) -> Listing {
        let place = match self.find(prefix) {
            Ok(place) => place,
            Err(error) => return Box::pin(stream::once(async { Err(error) })),
        };
        let entries = place.store.list(&place.key);
        let Some(name) = place.name.cloned() else { return entries };
        let prefix = store_prefix(&name);
        Box::pin(entries.map(move |entry| match entry {
            Ok((key, written_at)) => Ok((key.below(&prefix), written_at)),
            Err(error) => Err(error.in_store(&name)),
        }))
    }

    fn others(&self) -> Vec<StoreName> {
        self.others.keys().cloned().collect()
    }

    /// Only the usual store is asked who was first.
    fn creates_are_atomic(&self) -> bool {
        self.usual.creates_are_atomic()
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.usual.check().await
    }

    async fn check_others(&self) -> Result<(), BlobError> {
        let others = self.others.iter().map(|(name, store)| async move {
            // What is full has no key that could say where.
            store.check().await.map_err(|error| match error {
                BlobError::Full => BlobError::Failed { key: format!("store {name}"), source: error.into() },
                error => error.in_store(name),
            })
        });
        join_all(others).await.into_iter().collect()
    }
}

/// A writer whose errors tell of which store they are.
struct NamedWriter {
    name: StoreName,
    writer: Box<dyn BlobWriter>,
}

#[async_trait]
impl BlobWriter for NamedWriter {
    async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.writer.write(piece).await.map_err(|error| error.in_store(&self.name))
    }

    async fn finish(self: Box<Self>) -> Result<(), BlobError> {
        self.writer.finish().await.map_err(|error| error.in_store(&self.name))
    }

    async fn abort(self: Box<Self>) {
        self.writer.abort().await;
    }
}

#[cfg(test)]
mod tests;
