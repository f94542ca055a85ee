//! Records in memory, and how a change of one reaches all who remember it.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_types::{Mxc, Timestamp};
use lru::LruCache;
use tokio::sync::broadcast;

use crate::MediaRecord;

/// Records remembered in memory, about 1 KiB each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// How long a record is believed without looking again: what another instance changed takes
/// effect after this at the latest, also if its signal was lost.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// Changes that a slow listener may be behind before it is told that it lost some.
const BACKLOG: usize = 256;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One medium.
    Of(Mxc),
    /// Nobody knows what: everything may have.
    Unknown,
}

/// The records that were looked up lately.
pub(crate) struct Remembered {
    records: Mutex<LruCache<Mxc, (Arc<MediaRecord>, Timestamp)>>,
    /// Grows with each change: what was read before one must not be remembered after it.
    changes: AtomicU64,
    listeners: broadcast::Sender<Change>,
}

/// The moment at which a record was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Default for Remembered {
    fn default() -> Self {
        Self {
            records: Mutex::new(LruCache::new(REMEMBERED)),
            changes: AtomicU64::new(0),
            listeners: broadcast::channel(BACKLOG).0,
        }
    }
}

impl Remembered {
    pub(crate) fn find(&self, mxc: &Mxc, now: Timestamp) -> Option<Arc<MediaRecord>> {
        self.records().get(mxc).filter(|(_, until)| now < *until).map(|(record, _)| Arc::clone(record))
    }

    /// To be called before the store is asked.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.changes.load(Ordering::Acquire))
    }

    /// Keeps what the store has answered, unless something has changed since it was asked.
    pub(crate) fn keep(&self, asked: Moment, mxc: &Mxc, record: Option<&Arc<MediaRecord>>, now: Timestamp) {
        let mut records = self.records();
        match record {
            Some(record) if self.moment().0 == asked.0 => {
                records.put(mxc.clone(), (Arc::clone(record), now + BELIEVED_FOR));
            }
            _ => drop(records.pop(mxc)),
        }
    }

    /// Forgets what has changed, and tells all who listen in this process.
    pub(crate) fn forget(&self, change: Change) {
        {
            let mut records = self.records();
            // Within the lock: whoever keeps a record now sees this.
            self.changes.fetch_add(1, Ordering::AcqRel);
            match &change {
                Change::Of(mxc) => drop(records.pop(mxc)),
                Change::Unknown => records.clear(),
            }
        }
        // An error means that nobody listens.
        let _ = self.listeners.send(change);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Change> {
        self.listeners.subscribe()
    }

    fn records(&self) -> MutexGuard<'_, LruCache<Mxc, (Arc<MediaRecord>, Timestamp)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
