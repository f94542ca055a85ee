//! Records in memory, and how a change of one reaches all who remember it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_types::{FileName, Mxc, Timestamp};
use lru::LruCache;
use metrics::{Counter, counter};
use tokio::sync::broadcast;

use crate::MediaRecord;

/// What the records that are remembered may take: those of about 20,000 media.
const MOST_BYTES: usize = 16 << 20;
/// What one takes beside its texts: its places in the list and the map, and what allocating costs.
const OVERHEAD: usize = 384;
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
    records: Mutex<Records>,
    /// Grows with each change: what was read before one must not be remembered after it.
    changes: AtomicU64,
    listeners: broadcast::Sender<Change>,
    found: Counter,
    missing: Counter,
}

/// The least recently used go first.
struct Records {
    by_mxc: LruCache<Mxc, (Arc<MediaRecord>, Timestamp)>,
    bytes: usize,
}

impl Records {
    fn put(&mut self, mxc: Mxc, record: Arc<MediaRecord>, until: Timestamp) {
        self.bytes += cost(&record);
        if let Some((replaced, _)) = self.by_mxc.put(mxc, (record, until)) {
            self.bytes -= cost(&replaced);
        }
        while self.bytes > MOST_BYTES {
            let Some((_, (oldest, _))) = self.by_mxc.pop_lru() else { break };
            self.bytes -= cost(&oldest);
        }
    }

    fn pop(&mut self, mxc: &Mxc) {
        if let Some((record, _)) = self.by_mxc.pop(mxc) {
            self.bytes -= cost(&record);
        }
    }

    fn clear(&mut self) {
        self.by_mxc.clear();
        self.bytes = 0;
    }
}

/// What a record takes in memory.
fn cost(record: &MediaRecord) -> usize {
    let MediaRecord { mxc, content_type, sha256, blob, upload, file_name, .. } = record;
    let texts = [
        mxc.server_name.as_str(),
        mxc.media_id.as_str(),
        content_type.as_str(),
        sha256,
        blob,
        upload.as_deref().unwrap_or_default(),
        file_name.as_ref().map_or("", FileName::as_str),
    ];
    OVERHEAD + size_of::<MediaRecord>() + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// The moment at which a record was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Default for Remembered {
    fn default() -> Self {
        Self {
            records: Mutex::new(Records { by_mxc: LruCache::unbounded(), bytes: 0 }),
            changes: AtomicU64::new(0),
            listeners: broadcast::channel(BACKLOG).0,
            found: counter!("heliograph_records_found_total"),
            missing: counter!("heliograph_records_missing_total"),
        }
    }
}

impl Remembered {
    pub(crate) fn find(&self, mxc: &Mxc, now: Timestamp) -> Option<Arc<MediaRecord>> {
        let found =
            self.records().by_mxc.get(mxc).filter(|(_, until)| now < *until).map(|(record, _)| Arc::clone(record));
        if found.is_some() { &self.found } else { &self.missing }.increment(1);
        found
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
                records.put(mxc.clone(), Arc::clone(record), now + BELIEVED_FOR);
            }
            _ => records.pop(mxc),
        }
    }

    /// Forgets what has changed, and tells all who listen in this process.
    pub(crate) fn forget(&self, change: Change) {
        {
            let mut records = self.records();
            // Within the lock: whoever keeps a record now sees this.
            self.changes.fetch_add(1, Ordering::AcqRel);
            match &change {
                Change::Of(mxc) => records.pop(mxc),
                Change::Unknown => records.clear(),
            }
        }
        // An error means that nobody listens.
        let _ = self.listeners.send(change);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Change> {
        self.listeners.subscribe()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::ContentType;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn record(n: usize) -> Arc<MediaRecord> {
        let record = MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: format!("mxc://a.example/{n}").parse().unwrap(),
            content_type: ContentType::octet_stream(),
            sniffed_type: None,
            size_bytes: 1,
            sha256: "00".repeat(32),
            blob: "b".repeat(4_000),
            upload: None,
            direct: false,
            uploader: None,
            file_name: None,
            created_at: NOW,
            quarantined: None,
            protected: false,
            deleted: None,
        };
        Arc::new(record)
    }

    fn keep(remembered: &Remembered, record: &Arc<MediaRecord>) {
        remembered.keep(remembered.moment(), &record.mxc, Some(record), NOW);
    }

    #[test]
    fn what_is_remembered_stays_within_its_bytes_and_the_oldest_goes() {
        let remembered = Remembered::default();
        let records: Vec<Arc<MediaRecord>> = (0..5_000).map(record).collect();

        for record in &records {
            keep(&remembered, record);
        }
        keep(&remembered, &records[4_999]);

        let held = remembered.records();
        assert!((MOST_BYTES - 2 * cost(&records[0])..=MOST_BYTES).contains(&held.bytes), "{}", held.bytes);
        assert_eq!(held.bytes, held.by_mxc.iter().map(|(_, (record, _))| cost(record)).sum::<usize>());
        drop(held);
        assert_eq!(remembered.find(&records[0].mxc, NOW), None);
        assert!(remembered.find(&records[4_999].mxc, NOW).is_some());
        remembered.forget(Change::Unknown);
        assert_eq!(remembered.records().bytes, 0);
    }

    #[test]
    fn how_often_memory_knows_can_be_read() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let remembered = metrics::with_local_recorder(&recorder, Remembered::default);
        let record = record(1);

        remembered.find(&record.mxc, NOW);
        keep(&remembered, &record);
        remembered.find(&record.mxc, NOW);
        remembered.find(&record.mxc, NOW + BELIEVED_FOR);

        let text = recorder.handle().render();
        for line in ["heliograph_records_found_total 1", "heliograph_records_missing_total 2"] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in {text}");
        }
    }
}
