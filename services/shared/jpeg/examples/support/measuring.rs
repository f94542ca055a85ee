//! What examples measure with: the time on the processor.

use std::time::{Duration, Instant};

/// Time on the processor where the system tells it, else time on the wall.
pub(crate) enum Clock {
    Processor(Duration),
    Wall(Instant),
}

impl Clock {
    pub(crate) fn now() -> Self {
        processor_time().map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Processor(started) => processor_time().unwrap_or_default().saturating_sub(*started),
            Self::Wall(started) => started.elapsed(),
        }
    }
}

/// Of this thread.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
