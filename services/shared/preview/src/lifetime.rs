//! How long a preview may be kept.

use std::time::Duration;

/// Bounds of what pages can say.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// What is not to be kept at all is kept so long, or each reader of a room would fetch it.
    pub shortest: Duration,
    /// Of what says nothing.
    pub usual: Duration,
    /// Nothing is kept longer.
    pub longest: Duration,
}

impl Lifetime {
    /// As long as all agree on who say something: the headers of a page, and what oEmbed says.
    pub fn of(&self, told: impl IntoIterator<Item = Duration>) -> Duration {
        // Not `clamp`, which panics if an operator has the bounds the wrong way around.
        told.into_iter().min().unwrap_or(self.usual).max(self.shortest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Lifetime = Lifetime {
        shortest: Duration::from_mins(5),
        usual: Duration::from_hours(1),
        longest: Duration::from_hours(24),
    };

    #[test]
    fn a_preview_is_kept_as_long_as_all_agree_on_within_bounds() {
        for (told, seconds) in [
            (vec![], 3600),
            (vec![7200], 7200),
            (vec![7200, 600], 600),
            (vec![u64::MAX, 7200], 7200),
            (vec![0], 300),
            (vec![u64::MAX], 86400),
        ] {
            assert_eq!(BOUNDS.of(told.iter().copied().map(Duration::from_secs)).as_secs(), seconds, "{told:?}");
        }
    }

    #[test]
    fn bounds_that_contradict_each_other_do_no_harm() {
        let wrong = Lifetime { shortest: Duration::from_secs(10), longest: Duration::from_secs(5), ..BOUNDS };

        assert_eq!(wrong.of([]).as_secs(), 5);
    }
}
