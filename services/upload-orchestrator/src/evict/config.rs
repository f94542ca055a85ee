//! Settings of the copies of remote media.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;

const BATCH: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// A read is written after one interval, and that may have to be tried again.
const INTERVALS_UNTIL_KNOWN: u32 = 2;

heliograph_settings::settings! {
    /// Copies of media of other servers: how long they stay. What has gone is fetched again when
    /// somebody wants it. What a moderator has quarantined or protected stays, and does not count.
    pub struct RemoteCopiesConfig {
        /// How long a copy may go without being read; then it is removed, with its thumbnails.
        /// Without it copies stay, because they cannot always be fetched again: servers go away,
        /// and remove their media. `30d` to `90d` fits most; what people scroll back to is
        /// rarely older.
        pub unused_for: Option<Duration> = None,
        /// How large all copies may be together; those that were not read for longest are removed
        /// until they are. Thumbnails do not count, and the same content of several media counts
        /// for each. It is looked at every `check_every`, so leave room for what arrives in between.
        pub max_bytes: Option<ByteSize> = None,
        /// A copy that arrived or was read within this is never removed, whatever the limits say:
        /// somebody may still be reading it, or hold a URL to it (`redirects.lifetime`). Must be at
        /// least twice `write_reads_every`.
        pub keep_recent_for: Duration = Duration::from_mins(10),
        /// How often to look for copies that may go. One instance of `uploads` at a time does.
        pub check_every: Duration = Duration::from_mins(1),
        /// Copies that are looked at in one go; between two the store is left alone for as long
        /// as the first has taken.
        pub batch: NonZeroUsize = BATCH,
        /// How often each front writes down which copies were read. A crash loses what was read
        /// since.
        pub write_reads_every: Duration = Duration::from_mins(1),
    }
}

impl RemoteCopiesConfig {
    /// Contradictions between settings: the key and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.keep_recent_for < self.write_reads_every * INTERVALS_UNTIL_KNOWN {
            found.push((
                "keep_recent_for",
                "must be at least twice write_reads_every, or what is being read could be removed".to_owned(),
            ));
        }
        found
    }
}
