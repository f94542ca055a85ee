//! What is made of each new picture before anybody asks for it.
//!
//! New pictures wait in a queue of the cluster, from which each thumbnailer takes as many as it has
//! room for. Few are in work at once, so that those who wait for a thumbnail come first. Nothing
//! depends on it: what is lost or refused is made when somebody asks.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use heliograph_leases::{Consuming, State, Worked, Worker, consume, new_consumer_name};
use heliograph_proto::{Describe, NEW_PICTURES};
use heliograph_types::{ErrorCode, Failure, Mxc};
use tokio::time::timeout;

use super::{Studio, saturated};
use crate::metrics;

/// One of so many workers may be busy with it.
const WORKERS_EACH: usize = 4;
/// Pictures that could not be worked on, of which the reason is kept.
const MOST_ASIDE: u64 = 1000;

impl Studio {
    /// Begins to take new pictures, if anything is to be made of them; until shutdown.
    pub(super) fn take_new_pictures(self: &Arc<Self>) {
        if self.config.premade.is_empty() {
            return;
        }
        let at_once = self.config.workers().div_ceil(WORKERS_EACH);
        let consuming = Consuming {
            queue: NEW_PICTURES.to_owned(),
            name: new_consumer_name(),
            at_once: NonZeroUsize::new(at_once).unwrap_or(NonZeroUsize::MIN),
            tries: self.config.premade_tries,
            most_aside: MOST_ASIDE,
        };
        let (state, worker) = (State::clone(&self.deps.state), Arc::new(Beforehand(Arc::clone(self))));
        let consuming = consume(state, consuming, worker, self.deps.shutdown.clone());
        self.deps.tasks.spawn_on(consuming, &self.runtime);
    }

    /// Makes of a picture what is made of each new one. What nobody may see needs nothing.
    async fn make_beforehand(self: &Arc<Self>, mxc: Mxc) -> Result<(), Failure> {
        let found = timeout(self.config.timeout, self.deps.catalog.find(&mxc)).await;
        let found = found.map_err(|_elapsed| saturated("the record is not to be had"))??;
        if found.is_none_or(|record| record.quarantined.is_some()) {
            return Err(Failure::not_found());
        }
        self.ask(Describe { mxc }).await.map(drop)
    }
}

/// Works on new pictures.
struct Beforehand(Arc<Studio>);

#[async_trait]
impl Worker for Beforehand {
    /// Those who wait for a thumbnail come first.
    fn has_room(&self) -> bool {
        self.0.queue.available_permits() > 0
    }

    async fn work(&self, task: &str) -> Worked {
        let Ok(mxc) = task.parse::<Mxc>() else {
            // Of a newer version, which may know what it means.
            return Worked::Failed("it is no medium".to_owned());
        };
        let outcome = self.0.make_beforehand(mxc).await;
        metrics::premade(label(&outcome));
        match outcome {
            Err(failure) if !is_final(&failure) => Worked::Failed(failure.to_string()),
            Err(failure) => {
                tracing::debug!(mxc = task, %failure, "nothing is made beforehand");
                Worked::Done
            }
            Ok(()) => Worked::Done,
        }
    }
}

/// Whether it would come to the same another time.
const fn is_final(failure: &Failure) -> bool {
    use ErrorCode::{CannotThumbnail, NotFound, RemoteTooLarge, TooLarge};
    matches!(failure.code, CannotThumbnail | NotFound | RemoteTooLarge | TooLarge)
}

const fn label(outcome: &Result<(), Failure>) -> &'static str {
    match outcome {
        Ok(()) => "done",
        Err(Failure { code: ErrorCode::NotFound, .. }) => "gone",
        Err(failure) if is_final(failure) => "refused",
        Err(_) => "failed",
    }
}
