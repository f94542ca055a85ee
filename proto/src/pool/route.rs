//! How a call finds its instance.

use std::time::Duration;

use crate::placement::RouteKey;

/// How a call finds its instance, and whether it may go to another one.
///
/// A call that has not begun goes on to the next instance in any case. Without further words one
/// whose connection broke does so too, once: doing it twice must be as good as doing it once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(super) key: RouteKey,
    pub(super) is_repeatable: bool,
    pub(super) overflows: bool,
    pub(super) patience: Option<Duration>,
}

impl Route {
    /// To the instance that `key` belongs to.
    pub(crate) const fn by(key: RouteKey) -> Self {
        Self { key, is_repeatable: true, overflows: false, patience: None }
    }

    /// That is not repeated once it may have begun.
    #[must_use]
    pub(crate) const fn once(self) -> Self {
        Self { is_repeatable: false, ..self }
    }

    /// That goes to one more instance if the first has no room.
    #[must_use]
    pub(crate) const fn overflowing(self) -> Self {
        Self { overflows: true, ..self }
    }

    /// With its own time until the head of the answer.
    #[must_use]
    pub(crate) const fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }
}
