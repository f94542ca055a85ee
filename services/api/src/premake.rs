//! Has thumbnails made of what was just uploaded.

use std::sync::Arc;

use heliograph_proto::Prepare;
use heliograph_types::{ContentType, Mxc};
use tokio::sync::Semaphore;

use crate::{metrics, server::Front};

/// Uploads of which the thumbnailer is being told. It only notes them, so that more are only
/// when it cannot be reached.
const MOST_AT_ONCE: usize = 64;

/// Tells the thumbnailer of new pictures, if it is to know.
pub(crate) struct Premake(Option<Arc<Semaphore>>);

impl Premake {
    pub(crate) fn new(is_on: bool) -> Self {
        Self(is_on.then(|| Arc::new(Semaphore::new(MOST_AT_ONCE))))
    }

    /// Whether to tell of a medium of this type.
    pub(crate) fn is_about(&self, content_type: &ContentType) -> bool {
        self.0.is_some() && content_type.essence().starts_with("image/")
    }

    /// Tells of an upload that is complete. Never waits, and never fails: what is not made now is
    /// made when somebody asks for it.
    pub(crate) fn tell(&self, front: &Front, mxc: &Mxc) {
        let Some(room) = &self.0 else { return };
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            return metrics::premake_dropped();
        };
        let (thumbnails, mxc) = (Arc::clone(&front.thumbnails), mxc.clone());
        front.work.spawn(async move {
            if let Err(failure) = thumbnails.prepare(Prepare { mxc: mxc.clone() }).await {
                tracing::debug!(%mxc, %failure, "no thumbnails are made beforehand");
                metrics::premake_dropped();
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_told_of_and_only_if_that_is_on() {
        let is_about = |is_on, kind: &str| Premake::new(is_on).is_about(&kind.parse().unwrap());

        assert!(is_about(true, "Image/PNG; x=y"));
        assert!(!is_about(true, "video/mp4") && !is_about(false, "image/png"));
    }
}
