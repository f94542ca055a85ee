//! Files that were no good: remembered for a while, so that a hostile one costs its time on
//! the processor once, and not with each request.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use heliograph_imaging::RenderError;
use heliograph_types::ThumbnailSpec;
use lru::LruCache;

use crate::error::Refusal;

/// Files remembered, about 200 bytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Content never changes, but our decoders and limits may.
const LIFETIME: Duration = Duration::from_mins(5);

/// By the key of the blob; some reasons hold for one thumbnail alone.
type Subject = (String, Option<ThumbnailSpec>);

/// Why nothing could be made of files a short while ago.
pub(crate) struct Refusals(Mutex<LruCache<Subject, (Refusal, Instant)>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Refusals {
    /// Why nothing can be made of `blob`, or not this thumbnail, if that is known.
    pub(crate) fn find(&self, blob: &str, thumbnail: Option<ThumbnailSpec>, now: Instant) -> Option<Refusal> {
        let mut refusals = self.lock();
        [None, thumbnail].into_iter().find_map(|spec| {
            let (error, at) = refusals.get(&(blob.to_owned(), spec))?;
            (now.saturating_duration_since(*at) < LIFETIME).then(|| error.clone())
        })
    }

    /// Remembers why not, if asking again cannot help.
    pub(crate) fn note(&self, blob: &str, thumbnail: Option<ThumbnailSpec>, error: &Refusal, now: Instant) {
        let spec = match error {
            Refusal::Picture(
                RenderError::UnknownFormat | RenderError::Broken(_) | RenderError::TooManyPixels { .. },
            )
            | Refusal::DecoderPanicked => None,
            Refusal::Picture(RenderError::TooMuchMemory { .. }) | Refusal::TooManyBytes { .. } => thumbnail,
            Refusal::Abandoned | Refusal::Closed => return,
        };
        self.lock().put((blob.to_owned(), spec), (error.clone(), now));
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Subject, (Refusal, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::ThumbnailMethod::Scale;

    use super::*;

    const UNKNOWN: Refusal = Refusal::Picture(RenderError::UnknownFormat);

    fn spec(side: u32) -> ThumbnailSpec {
        ThumbnailSpec { width: side, height: side, method: Scale, animated: false }
    }

    #[test]
    fn a_broken_file_is_remembered_for_a_while_and_for_all_that_is_made_of_it() {
        let (refusals, begin) = (Refusals::default(), Instant::now());

        refusals.note("a", Some(spec(1)), &UNKNOWN, begin);

        assert_eq!(refusals.find("a", Some(spec(2)), begin), Some(UNKNOWN));
        assert_eq!(refusals.find("a", None, begin), Some(UNKNOWN));
        assert_eq!(refusals.find("b", Some(spec(1)), begin), None);
        assert_eq!(refusals.find("a", Some(spec(1)), begin + LIFETIME), None);
    }

    #[test]
    fn a_thumbnail_that_got_too_large_says_nothing_of_smaller_ones() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let error = Refusal::TooManyBytes { bytes: 2, most: 1 };

        refusals.note("a", Some(spec(9)), &error, now);

        assert_eq!(refusals.find("a", Some(spec(9)), now), Some(error));
        assert_eq!(refusals.find("a", Some(spec(8)), now), None);
        assert_eq!(refusals.find("a", None, now), None);
    }

    #[test]
    fn what_nobody_awaited_may_be_asked_for_again() {
        let (refusals, now) = (Refusals::default(), Instant::now());

        refusals.note("a", Some(spec(1)), &Refusal::Abandoned, now);

        assert_eq!(refusals.find("a", Some(spec(1)), now), None);
    }
}
