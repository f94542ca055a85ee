//! Has thumbnails made of what was just uploaded.

use std::{num::NonZeroUsize, sync::Arc};

use heliograph_leases::{State, enqueue};
use heliograph_proto::NEW_PICTURES;
use heliograph_types::{ContentType, Mxc};
use tokio::sync::Semaphore;

use crate::{metrics, server::Front};

/// Uploads that are being added to the queue. That is quick, so that more are only when the shared
/// state cannot be reached.
const MOST_AT_ONCE: usize = 64;

/// Adds new pictures to the queue of thumbnailers, if it is to.
pub(crate) struct Premake(Option<Queue>);

struct Queue {
    /// Pictures that may wait there.
    most: u64,
    room: Arc<Semaphore>,
}

impl Premake {
    /// With `most` pictures that may wait, or with none that do.
    pub(crate) fn new(most: Option<NonZeroUsize>) -> Self {
        Self(most.map(|most| Queue { most: most.get() as u64, room: Arc::new(Semaphore::new(MOST_AT_ONCE)) }))
    }

    /// Whether to tell of a medium of this type.
    pub(crate) fn is_about(&self, content_type: &ContentType) -> bool {
        self.0.is_some() && content_type.essence().starts_with("image/")
    }

    /// How many pictures may wait; none if nothing is made of them.
    pub(crate) fn most(&self) -> u64 {
        self.0.as_ref().map_or(0, |queue| queue.most)
    }

    /// Tells of an upload that is complete. Never waits, and never fails: what is not made now is
    /// made when somebody asks for it.
    pub(crate) fn tell(&self, front: &Front, mxc: &Mxc) {
        let Some(Queue { most, room }) = &self.0 else { return };
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            return metrics::premake_dropped("busy");
        };
        let (state, mxc, most) = (State::clone(&front.state), mxc.clone(), *most);
        front.work.spawn(async move {
            match enqueue(&state, NEW_PICTURES, &mxc.to_string(), most).await {
                Ok(true) => {}
                Ok(false) => metrics::premake_dropped("full"),
                Err(error) => {
                    tracing::debug!(%mxc, %error, "no thumbnails are made beforehand");
                    metrics::premake_dropped("unreachable");
                }
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
        let is_about = |most, kind: &str| Premake::new(most).is_about(&kind.parse().unwrap());
        let on = Some(NonZeroUsize::MIN);

        assert!(is_about(on, "Image/PNG; x=y"));
        assert!(!is_about(on, "video/mp4") && !is_about(None, "image/png"));
    }
}
