//! Finding, reserving and recording media.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_leases::State;
use heliograph_types::{Clock, Failure, Mxc, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::broadcast, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Blocked, Change, MediaRecord, Removal, Reserved,
    blocked::BlockList,
    exclusive::{self, NotCreated},
    keys::{
        blocked_key, record_key, records_prefix, removal_key, reserved_key, reserved_mxc, reserved_prefix, swept_key,
    },
    record::Swept,
    remembered::Remembered,
};

/// No JSON object of ours is larger.
const MOST_RECORD_BYTES: u64 = 64 << 10;
/// Where changes of records are told.
const CHANGES: &str = "changed";
/// What is told there when the block list has changed.
const BLOCK_LIST: &str = "block list";
/// How often the block list is read anew, in case a signal was lost.
const LOAD_AGAIN: Duration = Duration::from_mins(1);
/// How long to wait before listening again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// While waiting for content, look at the store this often in case a signal was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Of all objects that are read so many are asked for at once: each takes a bucket its time.
const READ_AT_ONCE: usize = 16;

/// Why the catalog could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The id has a record, or is reserved, already.
    #[error("{0} exists already")]
    AlreadyExists(Mxc),
    /// An object of the catalog cannot be read.
    #[error("{key} is damaged: {source}")]
    Damaged {
        /// Which.
        key: Key,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Nobody can tell which of several callers is first: nothing is promised, and it may be
    /// tried again.
    #[error("cannot decide who writes {key}: {reason}")]
    Undecided {
        /// What was to be written.
        key: Key,
        /// Why not.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(BlobError),
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Store(error) => error.into(),
            CatalogError::Undecided { .. } => Self::unavailable("the shared state is out of reach"),
            CatalogError::Damaged { .. } | CatalogError::AlreadyExists(_) => Self::internal(error.to_string()),
        }
    }
}

/// What an id means at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It has content.
    Ready(Arc<MediaRecord>),
    /// It was given out and waits for its content.
    Pending(Reserved),
    /// Nobody knows it, or it has expired unused.
    Missing,
}

/// A reservation as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundReserved {
    /// The id.
    pub mxc: Mxc,
    /// When it was written.
    pub written_at: Timestamp,
    /// What it says; `None` if it cannot be read, so that nobody can fill the id.
    pub reserved: Option<Reserved>,
}

/// The records of a store.
pub struct Catalog {
    blobs: Arc<dyn BlobStore>,
    state: State,
    clock: Arc<dyn Clock>,
    remembered: Remembered,
    block_list: BlockList,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

impl Catalog {
    /// The catalog of `blobs`. Instances of one deployment share `state` for their signals.
    pub fn new(blobs: Arc<dyn BlobStore>, state: State, clock: Arc<dyn Clock>) -> Self {
        Self { blobs, state, clock, remembered: Remembered::default(), block_list: BlockList::default() }
    }

    /// The record of a medium that has content: quarantined or not, but not deleted.
    pub async fn find(&self, mxc: &Mxc) -> Result<Option<Arc<MediaRecord>>, CatalogError> {
        let record = match self.remembered.find(mxc, self.clock.now()) {
            Some(record) => Some(record),
            None => self.find_now(mxc).await?,
        };
        Ok(record.filter(|record| record.deleted.is_none()))
    }

    /// The record of a medium as the store has it now; also what is left of a deleted one.
    pub async fn find_now(&self, mxc: &Mxc) -> Result<Option<Arc<MediaRecord>>, CatalogError> {
        let asked = self.remembered.moment();
        let record = self.find_object::<MediaRecord>(&record_key(mxc)).await?.map(Arc::new);
        self.remembered.keep(asked, mxc, record.as_ref(), self.clock.now());
        Ok(record)
    }

    /// Writes a changed record in place of the one that is there, and tells every instance.
    /// Only for who owns the medium: it is read, changed and written.
    pub async fn replace(&self, record: &MediaRecord) -> Result<(), CatalogError> {
        self.blobs.put(&record_key(&record.mxc), to_json(record)).await.map_err(CatalogError::Store)?;
        self.tell_changed(&record.mxc).await;
        Ok(())
    }

    /// Removes the record of a copy of remote media, which can be fetched again, or of the picture
    /// of a preview, whose id nobody knows any more, and tells every instance. Only for who owns the medium, and has noted the removal of its bytes.
    pub async fn remove_copy(&self, mxc: &Mxc) -> Result<(), CatalogError> {
        self.blobs.delete(&record_key(mxc)).await.map_err(CatalogError::Store)?;
        self.tell_changed(mxc).await;
        Ok(())
    }

    async fn tell_changed(&self, mxc: &Mxc) {
        self.forget(mxc);
        if let Err(error) = self.state.publish(CHANGES, &mxc.to_string()).await {
            tracing::warn!(%mxc, %error, "other instances learn of a change only within seconds");
        }
    }

    /// Looks at the store the next time that a medium is asked for, and tells all who
    /// remember something of it.
    pub fn forget(&self, mxc: &Mxc) {
        self.remembered.forget(Change::Of(mxc.clone()));
    }

    /// What changes from now on, in any instance, as long as `watch` runs.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.remembered.listen()
    }

    /// Takes in what other instances change, until shutdown. One per process.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let listening = async {
            loop {
                self.load_block_list().await;
                match self.state.subscribe(CHANGES).await {
                    Ok(mut changes) => {
                        // What changed before we listened is not known.
                        self.remembered.forget(Change::Unknown);
                        loop {
                            let Ok(change) = timeout(LOAD_AGAIN, changes.next()).await else {
                                self.load_block_list().await;
                                continue;
                            };
                            let change = change.and_then(|mxc| mxc.parse().ok()).map_or(Change::Unknown, Change::Of);
                            if change == Change::Unknown {
                                self.load_block_list().await;
                            }
                            self.remembered.forget(change);
                        }
                    }
                    Err(error) => tracing::debug!(%error, "not listening to changes of other instances"),
                }
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        };
        let _: Option<()> = shutdown.run_until_cancelled(listening).await;
    }

    /// Reads the block list anew; what another instance has just changed holds here then.
    pub async fn load_block_list(&self) {
        if let Err(error) = self.block_list.load(&*self.blobs).await {
            tracing::warn!(%error, "the block list may be out of date");
        }
    }

    /// Whether content with this digest, in hexadecimal, is not wanted. Of content that nobody has
    /// read, nothing is known.
    pub fn is_blocked(&self, sha256: &str) -> bool {
        self.block_list.contains(sha256)
    }

    /// Who does not want some content, if anybody.
    pub async fn find_blocked(&self, sha256: &str) -> Result<Option<Blocked>, CatalogError> {
        self.find_object(&blocked_key(sha256)).await
    }

    /// Blocks content, or takes that back with `None`, and tells every instance.
    pub async fn block(&self, sha256: &str, blocked: Option<&Blocked>) -> Result<(), CatalogError> {
        let key = blocked_key(sha256);
        let written = match blocked {
            Some(blocked) => self.blobs.put(&key, to_json(blocked)).await,
            None => self.blobs.delete(&key).await,
        };
        written.map_err(CatalogError::Store)?;
        self.load_block_list().await;
        if let Err(error) = self.state.publish(CHANGES, BLOCK_LIST).await {
            tracing::warn!(%error, "other instances learn of the block list only within a minute");
        }
        Ok(())
    }

    /// What an id means now. For remote media, `Missing` only says that there is no copy.
    pub async fn lookup(&self, mxc: &Mxc) -> Result<Lookup, CatalogError> {
        if let Some(record) = self.find(mxc).await? {
            return Ok(Lookup::Ready(record));
        }
        Ok(match self.find_reserved(mxc).await? {
            Some(reserved) if self.clock.now() < reserved.unused_expires_at => Lookup::Pending(reserved),
            // A commit writes the record before it removes the reservation: look once more.
            _ => self.find(mxc).await?.map_or(Lookup::Missing, Lookup::Ready),
        })
    }

    /// Waits until an id has content, is known to get none, or `patience` is over; answers
    /// what it means then. `Pending` is answered only after `patience`.
    pub async fn lookup_patiently(&self, mxc: &Mxc, patience: Duration) -> Result<Lookup, CatalogError> {
        let deadline = tokio::time::Instant::now() + patience;
        let first = self.lookup(mxc).await?;
        if !matches!(first, Lookup::Pending(_)) || patience.is_zero() {
            return Ok(first);
        }
        // Subscribe before looking again, so that nothing is missed in between. Without
        // signals we still look at the store now and then.
        let mut arrivals = self.state.subscribe(&arrival_topic(mxc)).await.ok();
        loop {
            let reserved = match self.lookup(mxc).await? {
                Lookup::Pending(reserved) => reserved,
                known => return Ok(known),
            };
            let now = tokio::time::Instant::now();
            if now >= deadline {
                return Ok(Lookup::Pending(reserved));
            }
            let until_expiry = reserved.unused_expires_at.since(self.clock.now()) + Duration::from_millis(1);
            let pause = LOOK_AGAIN.min(deadline - now).min(until_expiry);
            let arrival = async {
                match &mut arrivals {
                    Some(arrivals) => drop(arrivals.next().await),
                    None => std::future::pending().await,
                }
            };
            let _ = tokio::time::timeout(pause, arrival).await;
        }
    }

    /// Records new media: the one step that decides a commit. Of many callers with the same
    /// id one succeeds, the others get `AlreadyExists`.
    pub async fn create(&self, record: &MediaRecord) -> Result<(), CatalogError> {
        self.create_object(&record_key(&record.mxc), &record.mxc, record, Lasts::AtOnce).await
    }

    /// Tells everybody who waits for an id that it has content. May be lost; they look
    /// again by themselves.
    pub async fn announce(&self, mxc: &Mxc) {
        if let Err(error) = self.state.publish(&arrival_topic(mxc), "ready").await {
            tracing::warn!(%mxc, %error, "could not wake those who wait");
        }
    }

    /// Gives an id out. A killed process does not lose it again; in a folder, a power cut may, within
    /// seconds: then nobody knows the id, as one that has expired.
    pub async fn reserve(&self, reserved: &Reserved) -> Result<(), CatalogError> {
        self.create_object(&reserved_key(&reserved.mxc), &reserved.mxc, reserved, Lasts::Soon).await
    }

    /// An id that was given out, expired or not.
    pub async fn find_reserved(&self, mxc: &Mxc) -> Result<Option<Reserved>, CatalogError> {
        match self.find_object(&reserved_key(mxc)).await {
            // A power cut has left that much of it.
            Err(CatalogError::Damaged { .. }) => Ok(None),
            found => found,
        }
    }

    /// Takes a reservation back: it was filled, or has expired.
    pub async fn remove_reserved(&self, mxc: &Mxc) -> Result<(), CatalogError> {
        self.blobs.delete(&reserved_key(mxc)).await.map_err(CatalogError::Store)
    }

    /// All reservations, for the sweep, in no order; also those of which a power cut has left nothing that
    /// can be read.
    pub fn all_reserved(&self) -> impl Stream<Item = Result<FoundReserved, CatalogError>> + Send + '_ {
        let found = self.blobs.list(&reserved_prefix()).map(move |entry| async move {
            let (key, written_at) = entry.map_err(CatalogError::Store)?;
            let Some(mxc) = reserved_mxc(&key) else { return Ok(None) };
            let reserved = match self.find_object::<Reserved>(&key).await {
                // It was filled meanwhile.
                Ok(None) => return Ok(None),
                Err(CatalogError::Damaged { .. }) => None,
                found => found?,
            };
            Ok(Some(FoundReserved { mxc, written_at, reserved }))
        });
        found.buffer_unordered(READ_AT_ONCE).filter_map(|found| std::future::ready(found.transpose()))
    }

    /// All records, those of deleted media too, for rebuilding what is derived from them,
    /// in no order. Damaged ones are left out.
    pub fn all_records(&self) -> impl Stream<Item = Result<MediaRecord, CatalogError>> + Send + '_ {
        self.all_objects(&records_prefix())
    }

    fn all_objects<T: DeserializeOwned + Send>(
        &self,
        prefix: &Key,
    ) -> impl Stream<Item = Result<T, CatalogError>> + Send + use<'_, T> {
        let found = self.blobs.list(prefix).map(move |entry| async move {
            let key = match entry {
                Ok((key, _)) => key,
                Err(error) => return Some(Err(CatalogError::Store(error))),
            };
            match self.find_object(&key).await {
                Err(error @ CatalogError::Damaged { .. }) => {
                    tracing::warn!(%error, "left out");
                    None
                }
                other => other.transpose(),
            }
        });
        found.buffer_unordered(READ_AT_ONCE).filter_map(std::future::ready)
    }

    /// Removes what a process has left of a record that was killed while it wrote it. If
    /// somebody writes it this moment, that fails and can be tried again.
    pub async fn clear_leftovers(&self, mxc: &Mxc) -> Result<(), CatalogError> {
        self.blobs.clear_leftovers(&record_key(mxc)).await.map_err(CatalogError::Store)
    }

    /// Notes that bytes are to go, so that they do even if we are killed. Durable when answered.
    pub async fn note_removal(&self, blob_id: &str, mxc: &Mxc, removal: &Removal) -> Result<(), CatalogError> {
        self.blobs.put(&removal_key(blob_id, mxc), to_json(removal)).await.map_err(CatalogError::Store)
    }

    /// The note that bytes are to go.
    pub async fn find_removal(&self, blob_id: &str, mxc: &Mxc) -> Result<Option<Removal>, CatalogError> {
        self.find_object(&removal_key(blob_id, mxc)).await
    }

    /// Takes such a note back: the bytes are gone, or others need them.
    pub async fn forget_removal(&self, blob_id: &str, mxc: &Mxc) -> Result<(), CatalogError> {
        self.blobs.delete(&removal_key(blob_id, mxc)).await.map_err(CatalogError::Store)
    }

    /// Until when all blobs were looked at, and whether their records name them.
    pub async fn find_swept(&self) -> Result<Option<Timestamp>, CatalogError> {
        Ok(self.find_object::<Swept>(&swept_key()).await?.map(|swept| swept.until))
    }

    /// Says until when all blobs were looked at.
    pub async fn note_swept(&self, until: Timestamp) -> Result<(), CatalogError> {
        self.blobs.put(&swept_key(), to_json(&Swept { until })).await.map_err(CatalogError::Store)
    }

    async fn find_object<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, CatalogError> {
        match self.blobs.get(key, MOST_RECORD_BYTES).await {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|source| CatalogError::Damaged { key: key.clone(), source }),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(CatalogError::Store(error)),
        }
    }

    async fn create_object<T: Serialize + Sync>(
        &self,
        key: &Key,
        mxc: &Mxc,
        object: &T,
        lasts: Lasts,
    ) -> Result<(), CatalogError> {
        let json = to_json(object);
        let created = match lasts {
            _ if !self.blobs.creates_are_atomic() => exclusive::create(&*self.blobs, &self.state, key, json).await,
            Lasts::AtOnce => self.blobs.create(key, json).await.map_err(NotCreated::Store),
            Lasts::Soon => self.blobs.create_quickly(key, json).await.map_err(NotCreated::Store),
        };
        created.map_err(|error| match error {
            NotCreated::Store(BlobError::AlreadyExists { .. }) => CatalogError::AlreadyExists(mxc.clone()),
            NotCreated::Store(error) => CatalogError::Store(error),
            NotCreated::Undecided(reason) => CatalogError::Undecided { key: key.clone(), reason },
        })
    }
}

/// Since when a power cut does not cost an object.
#[derive(Debug, Clone, Copy)]
enum Lasts {
    /// Since it was answered that it is there.
    AtOnce,
    /// Some seconds later, in a folder.
    Soon,
}

fn arrival_topic(mxc: &Mxc) -> String {
    format!("arrived:{mxc}")
}

#[expect(clippy::expect_used, reason = "our objects have text keys and no map that could fail")]
fn to_json<T: Serialize>(object: &T) -> Bytes {
    serde_json::to_vec_pretty(object).expect("our objects are JSON").into()
}
