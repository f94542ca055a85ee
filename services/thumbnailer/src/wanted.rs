//! Which thumbnail a request gets.

use heliograph_imaging::{Size, plan};
use heliograph_types::{ThumbnailMethod, ThumbnailSpec};

/// Which thumbnail is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// What the caller gets at least.
    pub(crate) exact: ThumbnailSpec,
    /// What is stored for all who ask alike, and made instead where that is as good.
    pub(crate) stored: Option<ThumbnailSpec>,
}

impl Wanted {
    /// What a request for `spec` gets. A larger picture of the same content is always as
    /// good: of those who ask for some scale, all mean the same.
    pub(crate) fn by(spec: ThumbnailSpec) -> Self {
        let (exact, stored) = (spec.clamped(), spec.stored_form());
        match spec.method {
            ThumbnailMethod::Scale => Self { exact: stored.unwrap_or(exact), stored },
            ThumbnailMethod::Crop => Self { exact, stored },
        }
    }

    /// Which is made of a picture that people see as `source` large, and whether that is the
    /// stored one. A crop whose box is larger than the picture loses its shape: smaller boxes
    /// in its place would not, so it is no answer for them.
    pub(crate) fn choose(&self, source: Size) -> (ThumbnailSpec, bool) {
        let for_all = |form: &ThumbnailSpec| {
            let made = plan(source, form).size;
            let (across, down) = (u64::from(made.width), u64::from(made.height));
            form.method == ThumbnailMethod::Scale || across * u64::from(form.height) == down * u64::from(form.width)
        };
        self.stored.filter(for_all).map_or((self.exact, false), |form| (form, true))
    }
}
