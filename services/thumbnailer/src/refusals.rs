//! Files that were no good: remembered for a while, so that a hostile one costs its time on
//! the processor once, and not with each request.
//!
//! Known by their content, whatever medium it is. What took much to find out all processes of the
//! cluster remember; what the header tells, each finds out for itself.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use heliograph_catalog::MediaRecord;
use heliograph_leases::State;
use heliograph_types::ThumbnailVariant;
use lru::LruCache;
use serde::{Deserialize, Serialize};

use crate::{
    config::ThumbnailsConfig,
    error::{Extent, Refusal},
    metrics,
};

/// Files remembered, about 200 bytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// What was refused: everything of a content, or one thumbnail alone.
type Subject = (String, Option<String>);

/// Why nothing could be made of files a short while ago.
pub(crate) struct Refusals {
    known: Mutex<LruCache<Subject, (Refusal, Instant)>>,
    /// Content never changes, but our decoders and limits may.
    lifetime: Duration,
    shared: Option<State>,
    shared_lifetime: Duration,
}

/// As the cluster remembers it.
#[derive(Serialize, Deserialize)]
struct Shared {
    /// The only thumbnail that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
    refusal: Refusal,
}

impl Refusals {
    /// Knows of none. Only with `shared` other processes are told, and asked.
    pub(crate) fn new(config: &ThumbnailsConfig, shared: Option<State>) -> Self {
        Self {
            known: Mutex::new(LruCache::new(MOST)),
            lifetime: config.remember_refused,
            shared,
            shared_lifetime: config.remember_poison,
        }
    }

    /// Why nothing can be made of the content of a record, or not this thumbnail, if that is known.
    pub(crate) async fn find(&self, record: &MediaRecord, thumbnail: Option<ThumbnailVariant>) -> Option<Refusal> {
        let (content, thumbnail) = (content_of(record), thumbnail.map(|variant| variant.to_string()));
        let known = self.find_known(content, thumbnail.as_ref(), Instant::now());
        if known.is_some() {
            return known;
        }
        let Shared { thumbnail: only, refusal } = self.find_shared(content).await?;
        // It is asked for again after our own time, which is shorter.
        self.lock().put((content.to_owned(), only.clone()), (refusal.clone(), Instant::now()));
        (only.is_none() || only == thumbnail).then_some(refusal)
    }

    /// Remembers why not, if asking again cannot help.
    pub(crate) async fn note(&self, record: &MediaRecord, thumbnail: Option<ThumbnailVariant>, refusal: &Refusal) {
        let thumbnail = match refusal.extent() {
            Extent::All => None,
            Extent::One => thumbnail.map(|variant| variant.to_string()),
            Extent::Nothing => return,
        };
        metrics::refused(refusal.label());
        let content = content_of(record);
        self.lock().put((content.to_owned(), thumbnail.clone()), (refusal.clone(), Instant::now()));
        if refusal.is_costly() {
            tracing::warn!(mxc = %record.mxc, content, %refusal, "this content is not tried again for a while");
            self.share(content, &Shared { thumbnail, refusal: refusal.clone() }).await;
        }
    }

    fn find_known(&self, content: &str, thumbnail: Option<&String>, now: Instant) -> Option<Refusal> {
        let mut known = self.lock();
        [None, thumbnail].into_iter().find_map(|thumbnail| {
            let (refusal, at) = known.get(&(content.to_owned(), thumbnail.cloned()))?;
            (now.saturating_duration_since(*at) < self.lifetime).then(|| refusal.clone())
        })
    }

    async fn find_shared(&self, content: &str) -> Option<Shared> {
        let found = self.shared.as_ref()?.find_cached(&key_of(content)).await;
        let found = found.inspect_err(|error| tracing::debug!(%error, "what others refused is not known"));
        // Another version may have reasons that we do not know.
        serde_json::from_slice(&found.ok()??).ok()
    }

    async fn share(&self, content: &str, what: &Shared) {
        let (Some(state), Ok(json)) = (&self.shared, serde_json::to_vec(what)) else { return };
        if self.shared_lifetime.is_zero() {
            return;
        }
        if let Err(error) = state.cache(&key_of(content), json.into(), self.shared_lifetime).await {
            tracing::debug!(%error, "others are not told what was refused");
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Subject, (Refusal, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a content is known by: its digest, or the key of its bytes if nobody has read them.
fn content_of(record: &MediaRecord) -> &str {
    if record.sha256.is_empty() { &record.blob } else { &record.sha256 }
}

fn key_of(content: &str) -> String {
    format!("refused-pictures/{content}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heliograph_imaging::RenderError;
    use heliograph_jail::Reason;
    use heliograph_leases::EmbeddedState;
    use heliograph_types::{ContentType, SystemClock, Timestamp};

    use super::*;

    const UNKNOWN: Refusal = Refusal::Picture(RenderError::UnknownFormat);

    fn record(id: &str, sha256: &str) -> MediaRecord {
        MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: format!("mxc://a.example/{id}").parse().unwrap(),
            content_type: ContentType::octet_stream(),
            sniffed_type: None,
            size_bytes: 1,
            sha256: sha256.to_owned(),
            blob: format!("blobs/{id}"),
            upload: None,
            direct: false,
            uploader: None,
            file_name: None,
            created_at: Timestamp::from_millis(1),
            quarantined: None,
            protected: false,
            deleted: None,
        }
    }

    fn variant(side: u32) -> ThumbnailVariant {
        format!("{side}x{side}-scale").parse().unwrap()
    }

    fn alone() -> Refusals {
        Refusals::new(&ThumbnailsConfig::default(), None)
    }

    #[tokio::test]
    async fn a_broken_content_is_remembered_for_all_that_is_made_of_it_under_any_id() {
        let (refusals, a) = (alone(), record("a", "digest"));

        refusals.note(&a, Some(variant(1)), &UNKNOWN).await;

        assert_eq!(refusals.find(&a, Some(variant(2))).await, Some(UNKNOWN));
        assert_eq!(refusals.find(&record("b", "digest"), None).await, Some(UNKNOWN));
        assert_eq!(refusals.find(&record("a", "other"), Some(variant(1))).await, None);
    }

    #[tokio::test]
    async fn content_that_nobody_has_read_is_known_by_its_bytes() {
        let refusals = alone();

        refusals.note(&record("a", ""), None, &UNKNOWN).await;

        assert_eq!(refusals.find(&record("a", ""), None).await, Some(UNKNOWN));
        assert_eq!(refusals.find(&record("b", ""), None).await, None);
    }

    #[tokio::test]
    async fn it_is_remembered_for_a_while() {
        let (refusals, begin) = (alone(), Instant::now());
        refusals.note(&record("a", "digest"), None, &UNKNOWN).await;

        let after = |span| refusals.find_known("digest", None, begin + span);

        assert_eq!(after(Duration::from_mins(4)), Some(UNKNOWN));
        assert_eq!(after(Duration::from_mins(6)), None);
    }

    #[tokio::test]
    async fn a_thumbnail_that_got_too_large_says_nothing_of_smaller_ones() {
        let (refusals, a) = (alone(), record("a", "digest"));
        let error = Refusal::TooManyBytes { bytes: 2, most: 1 };

        refusals.note(&a, Some(variant(9)), &error).await;

        assert_eq!(refusals.find(&a, Some(variant(9))).await, Some(error));
        assert_eq!(refusals.find(&a, Some(variant(8))).await, None);
        assert_eq!(refusals.find(&a, None).await, None);
    }

    #[tokio::test]
    async fn a_file_that_ends_workers_is_remembered_and_one_whose_worker_was_killed_is_not() {
        let (refusals, hostile, unlucky) = (alone(), record("a", "hostile"), record("b", "unlucky"));

        for (record, reason) in [(&hostile, Reason::Memory), (&unlucky, Reason::Killed)] {
            refusals.note(record, Some(variant(1)), &Refusal::WorkerLost { reason }).await;
        }

        assert!(refusals.find(&hostile, Some(variant(2))).await.is_some());
        assert_eq!(refusals.find(&unlucky, Some(variant(1))).await, None);
    }

    #[tokio::test]
    async fn what_nobody_awaited_may_be_asked_for_again() {
        let (refusals, a) = (alone(), record("a", "digest"));

        refusals.note(&a, Some(variant(1)), &Refusal::Abandoned).await;

        assert_eq!(refusals.find(&a, Some(variant(1))).await, None);
    }

    #[tokio::test]
    async fn what_took_much_to_find_out_no_other_process_tries() {
        let state: State = Arc::new(EmbeddedState::in_memory(Arc::new(SystemClock)).unwrap());
        let of_cluster = || Refusals::new(&ThumbnailsConfig::default(), Some(State::clone(&state)));
        let (here, there, crash, broken) =
            (of_cluster(), of_cluster(), record("crash", "crash"), record("broken", "broken"));
        let too_much = Refusal::Picture(RenderError::TooMuchMemory { bytes: 2, most: 1 });
        let large = record("large", "large");

        here.note(&crash, Some(variant(1)), &Refusal::WorkerLost { reason: Reason::Panicked }).await;
        here.note(&broken, Some(variant(1)), &UNKNOWN).await;
        here.note(&large, Some(variant(9)), &too_much).await;

        assert_eq!(there.find(&crash, Some(variant(2))).await, Some(Refusal::WorkerLost { reason: Reason::Panicked }));
        assert_eq!(there.find(&broken, Some(variant(1))).await, None, "it costs nothing to look at it");
        assert_eq!(there.find(&large, Some(variant(8))).await, None);
        assert_eq!(there.find(&large, Some(variant(9))).await, Some(too_much));
        state.forget(&key_of("crash")).await.unwrap();
        assert_eq!(
            there.find(&crash, None).await,
            Some(Refusal::WorkerLost { reason: Reason::Panicked }),
            "it is known here now"
        );
    }
}
