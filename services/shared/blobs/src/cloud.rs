//! A bucket: S3 and all who speak its protocol, Google's, Azure's.
//!
//! Nothing is staged beside a key: what is not finished is invisible. Parts of uploads whose
//! process was killed stay in the bucket until they are looked for; where a store does not tell
//! of them, a rule of the bucket (`AbortIncompleteMultipartUpload`) removes them.

mod abandoned;
mod config;
mod connector;
mod probe;
mod sas;
mod sign;
mod writer;

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use heliograph_types::Timestamp;
use object_store::{
    Attribute, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path,
};
use tokio::runtime::Handle;
use url::Url;

use self::{
    abandoned::Abandoned,
    probe::{probe, unused_location},
    sign::UrlSigner,
    writer::CloudWriter,
};
pub(crate) use self::{config::check_authorities, probe::Creates};
use crate::{
    BlobError, BlobReader, BlobStore, BlobWriter, Bucket, Cloud, Grant, Key, Listing, Stat, StorageConfig,
    config::ConditionalCreate,
    location::{key_at, location_of},
};

/// What is said of a bucket that is not there, behind its name.
pub(crate) const CREATE_IT: &str = ", create it, or correct the url of its section";

/// Blobs as objects in a bucket.
pub struct CloudStore {
    shared: Arc<Shared>,
    creates: Creates,
    /// Who makes URLs for others.
    signer: Option<UrlSigner>,
    /// Who ends what killed writers have begun, if the store can tell of it.
    abandoned: Option<Abandoned>,
}

/// What writers need too.
struct Shared {
    name: String,
    objects: Arc<dyn ObjectStore>,
    part_size: usize,
    part_concurrency: usize,
    /// Where requests that nobody waits for run.
    runtime: Handle,
    /// What to do when the bucket refuses us.
    advice: &'static str,
}

impl fmt::Debug for CloudStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CloudStore").field(&self.shared.name).finish()
    }
}

impl CloudStore {
    /// Opens a bucket, and tries whether it lets us write, and what its creates are worth.
    /// Requests run on the runtime that this runs on.
    pub async fn open(bucket: &Bucket, config: &StorageConfig) -> Result<Self, BlobError> {
        let asked = Self::unasked(bucket, config)?.asked(config).await;
        // What cannot be built has failed before.
        let has_keys = || config::has_keys(bucket, config, &Handle::current()).unwrap_or(true);
        asked.map_err(|error| if has_keys() { error } else { without_keys(error) })
    }

    /// The same, but nothing is asked of the bucket: its creates count as checked.
    pub(crate) fn unasked(bucket: &Bucket, config: &StorageConfig) -> Result<Self, BlobError> {
        let name = format!("{}://{}", bucket.cloud.scheme(), bucket.name);
        let failed = |source| BlobError::Failed { key: name.clone(), source };
        let objects = config::build(bucket, config, &Handle::current()).map_err(failed)?;
        let signer = config::build_signer(bucket, config, &Handle::current()).map_err(failed)?;
        let abandoned = config::build_abandoned(bucket, config, &Handle::current()).map_err(failed)?;
        let store = Self::over(objects, name, advice(bucket.cloud), config);
        Ok(Self { signer: Some(signer), abandoned, ..store })
    }

    /// The same over any store of `object_store`.
    fn over(objects: Arc<dyn ObjectStore>, name: String, advice: &'static str, config: &StorageConfig) -> Self {
        let shared = Shared {
            name,
            objects,
            part_size: usize::try_from(config.part_size.as_u64()).unwrap_or(usize::MAX).max(1),
            part_concurrency: config.part_concurrency.get(),
            runtime: Handle::current(),
            advice,
        };
        Self { shared: Arc::new(shared), creates: Creates::Checked, signer: None, abandoned: None }
    }

    /// Asks whether we may work there, and what creates are worth.
    async fn asked(self, config: &StorageConfig) -> Result<Self, BlobError> {
        self.shared.check().await?;
        self.shared.check_missing().await?;
        let creates = match config.conditional_create {
            ConditionalCreate::Trust => Creates::Atomic,
            ConditionalCreate::Never => Creates::Blind,
            ConditionalCreate::Probe => self.probe_creates().await?,
        };
        Ok(Self { creates, ..self })
    }

    /// Tries what creates are worth.
    pub(crate) async fn probe_creates(&self) -> Result<Creates, BlobError> {
        probe(&*self.shared.objects).await.map_err(|error| self.shared.translate_put("probe", error))
    }

    /// What all of this is made of, for trials of what has no other way.
    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.objects
    }

    /// What an error of [`CloudStore::objects`] means.
    pub(crate) fn translate(&self, key: &str, error: Error) -> BlobError {
        self.shared.translate_put(key, error)
    }
}

/// What the cloud itself says is of no use to who has forgotten the keys.
fn without_keys(error: BlobError) -> BlobError {
    match error {
        BlobError::Failed { key, source } => {
            let source =
                format!("there are no keys in the settings or the environment, and with those of the cloud: {source}");
            BlobError::Failed { key, source: source.into() }
        }
        error => error,
    }
}

const fn advice(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => {
            "check access_key_id and secret_access_key of its section in the settings, or AWS_*, or the role of this machine; it must \
             be allowed to get, put, delete and list (s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket, \
             s3:AbortMultipartUpload)"
        }
        Cloud::Google => {
            "check service_account_file of its section in the settings, or GOOGLE_*, or the identity of this machine; it must be allowed to \
             get, create, delete and list objects (roles/storage.objectAdmin)"
        }
        Cloud::Azure => {
            "check account and access_key of its section in the settings, or AZURE_*, or the identity of this machine; it must be \
             allowed to read, write and delete (Storage Blob Data Contributor)"
        }
    }
}

impl Shared {
    async fn put(&self, key: &Key, content: Bytes, mode: PutMode) -> Result<(), BlobError> {
        let put = self.objects.put_opts(&location_of(key), content.into(), mode.into()).await;
        put.map(drop).map_err(|error| self.translate_write(key, error))
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        let found = self.objects.head(&location_of(key)).await;
        found.map(|meta| meta.size).map_err(|error| self.translate(key.as_str(), error))
    }

    async fn check(&self) -> Result<(), BlobError> {
        let content = PutPayload::from_static(b"heliograph may write here\n");
        let put = self.objects.put(&Path::from("check"), content).await;
        put.map(drop).map_err(|error| self.translate_put("check", error))
    }

    /// To those who may not list, S3 says of what is missing that they may not have it.
    async fn check_missing(&self) -> Result<(), BlobError> {
        let location = unused_location();
        match self.objects.head(&location).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.translate(location.as_ref(), error)),
        }
    }

    fn translate(&self, key: &str, error: Error) -> BlobError {
        let key = key.to_owned();
        match error {
            Error::NotFound { .. } => BlobError::NotFound { key },
            Error::AlreadyExists { .. } | Error::Precondition { .. } => BlobError::AlreadyExists { key },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                BlobError::Denied { key, advice: self.advice }
            }
            error => BlobError::Failed { key, source: error.into() },
        }
    }

    fn translate_write(&self, key: &Key, error: Error) -> BlobError {
        self.translate_put(key.as_str(), error)
    }

    /// What cannot be written because it is not found has no bucket.
    fn translate_put(&self, key: &str, error: Error) -> BlobError {
        match error {
            Error::NotFound { source, .. } => {
                let source = format!("there is no {}{CREATE_IT}: {source}", self.name);
                BlobError::Failed { key: key.to_owned(), source: source.into() }
            }
            error => self.translate(key, error),
        }
    }
}

#[async_trait]
impl BlobStore for CloudStore {
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        if self.creates != Creates::Blind {
            return self.shared.put(key, content, PutMode::Create).await;
        }
        match self.shared.size_of(key).await {
            Ok(_) => Err(BlobError::AlreadyExists { key: key.to_string() }),
            Err(BlobError::NotFound { .. }) => self.shared.put(key, content, PutMode::Overwrite).await,
            Err(error) => Err(error),
        }
    }

    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.shared.put(key, content, PutMode::Overwrite).await
    }

    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError> {
        let failed = |error| self.shared.translate(key.as_str(), error);
        let found = self.shared.objects.get(&location_of(key)).await.map_err(failed)?;
        let size = found.meta.size;
        if size > most_bytes {
            let source = format!("{size} bytes, more than the {most_bytes} expected here").into();
            return Err(BlobError::Failed { key: key.to_string(), source });
        }
        found.bytes().await.map_err(failed)
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        self.shared.size_of(key).await
    }

    async fn stat(&self, key: &Key) -> Result<Stat, BlobError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let found = self.shared.objects.get_opts(&location_of(key), options).await;
        let found = found.map_err(|error| self.shared.translate(key.as_str(), error))?;
        let content_type = found.attributes.get(&Attribute::ContentType).map(|value| value.as_ref().to_owned());
        Ok(Stat { size_bytes: found.meta.size, content_type })
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError> {
        let copied = self.shared.objects.copy(&location_of(from), &location_of(to)).await;
        copied.map_err(|error| self.shared.translate(from.as_str(), error))
    }

    async fn presign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, BlobError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        signer.sign(key, grant, lifetime).await.map_err(|source| BlobError::Failed { key: key.to_string(), source })
    }

    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError> {
        if range.is_empty() {
            // There is no way to ask for nothing.
            self.shared.size_of(key).await?;
            return Ok(Box::pin(stream::empty()));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.shared.objects.get_opts(&location_of(key), options).await;
        let found = found.map_err(|error| self.shared.translate(key.as_str(), error))?;
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Ok(Box::pin(found.into_stream().map_err(move |error| shared.translate(key.as_str(), error))))
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(CloudWriter::new(Arc::clone(&self.shared), key.clone())))
    }

    async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        match self.shared.objects.delete(&location_of(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.shared.translate(key.as_str(), error)),
        }
    }

    async fn clear_leftovers(&self, _: &Key) -> Result<(), BlobError> {
        Ok(())
    }

    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError> {
        let Some(abandoned) = &self.abandoned else { return Ok(0) };
        let key = || prefix.map_or_else(|| self.shared.name.clone(), ToString::to_string);
        abandoned.abort(prefix, older_than).await.map_err(|source| BlobError::Failed { key: key(), source })
    }

    fn list(&self, prefix: &Key) -> Listing {
        let (shared, prefix) = (Arc::clone(&self.shared), prefix.clone());
        let entries = self.shared.objects.list(Some(&location_of(&prefix)));
        let entries = entries.map_err(move |error| shared.translate(prefix.as_str(), error));
        Box::pin(entries.try_filter_map(|entry| async move {
            let written_at = u64::try_from(entry.last_modified.timestamp_millis()).unwrap_or_default();
            Ok(key_at(&entry.location).map(|key| (key, Timestamp::from_millis(written_at))))
        }))
    }

    fn creates_are_atomic(&self) -> bool {
        self.creates == Creates::Atomic
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.shared.check().await
    }
}

#[cfg(test)]
mod tests;
