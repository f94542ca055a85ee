//! The freeze of unauthenticated media (MSC3916): what is newer needs a token.

use std::collections::HashSet;

use heliograph_catalog::MediaRecord;
use heliograph_types::{Mxc, Timestamp};

use crate::ApiConfig;

/// What the endpoints without authentication give out.
#[derive(Debug)]
pub(crate) struct Freeze {
    since: Option<Timestamp>,
    exempt: HashSet<Mxc>,
}

impl Freeze {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        Self { since: config.freeze_since, exempt: config.freeze_exempt.iter().cloned().collect() }
    }

    /// Whether this medium may be had: it was complete here, or copied here, before the freeze.
    pub(crate) fn admits(&self, record: &MediaRecord) -> bool {
        self.since.is_none_or(|since| record.created_at < since) || self.exempt.contains(&record.mxc)
    }

    /// Whether a medium that is not here may be copied for such a request.
    pub(crate) fn admits_new(&self, mxc: &Mxc) -> bool {
        self.since.is_none() || self.exempt.contains(mxc)
    }
}
