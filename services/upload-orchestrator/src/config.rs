//! Settings of uploads.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use heliograph_strip::Kind;

heliograph_settings::choice! {
    /// How much is read of content that came into the store without us.
    pub enum DirectInspection {
        /// Nothing.
        None = "none",
        /// The beginning.
        Head = "head",
        /// All of it.
        Full = "full",
    }
}

/// No store takes a URL that was signed longer ago.
const LONGEST_SIGNATURE: Duration = Duration::from_hours(7 * 24);
const IN_PROGRESS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

heliograph_settings::settings! {
    /// Uploads of users: limits and life times.
    pub struct UploadsConfig {
        /// The largest upload; a larger one is refused with 413 `M_TOO_LARGE`. Clients learn
        /// it from `/config`. A proxy in front must allow as much.
        pub max_bytes: ByteSize = ByteSize::mib(100),
        /// Uploads in progress in one orchestrator, copies of remote media included; more are
        /// refused with 429 `M_LIMIT_EXCEEDED`.
        pub max_in_progress: NonZeroUsize = IN_PROGRESS,
        /// Ids that one user may have created and not yet filled; more are refused with 429
        /// `M_LIMIT_EXCEEDED`.
        pub max_pending_per_user: u64 = 20,
        /// How long an id that was created may stay without content (`unused_expires_at`).
        pub unused_lifetime: Duration = Duration::from_hours(24),
        /// Whether clients that know how may put content straight into the bucket (MSC3870): they
        /// are given a URL with each id that they create, which works as long as the id. Clients
        /// must be able to reach the bucket, see `storage.public_endpoint`, and browsers need
        /// its CORS rules, see `heliograph doctor`. Needs a store in `s3://` or `gs://`.
        pub direct: bool = false,
        /// How much of such content is read before it is given out: `none`, its beginning
        /// (`head`), which tells what type it is, or all of it (`full`), which tells its hash: only
        /// then can it be stored once for several media, and be recognised as unwanted. That
        /// costs reading it from the bucket once.
        pub direct_inspection: DirectInspection = DirectInspection::Head,
        /// Whether the same content, uploaded several times to one server name, is stored once.
        pub deduplicate: bool = true,
        /// The types of pictures out of which metadata is taken when users upload them, such as where
        /// they were taken (GPS), when and with what (EXIF, XMP, IPTC, comments, all types of their
        /// own that programs put in). The picture is not changed, and how it is to be turned
        /// and its colour profile stay; thumbnails inside it, and what comes after its end, such as the
        /// film of a motion photo, go. What is stored then has another hash and size than what
        /// was sent; `max_bytes` is for what is sent. Which type it is, its first bytes tell, not the
        /// client: encrypted media stay as they are. A picture that is broken stays as it is from
        /// there on, see the metric `heliograph_upload_metadata_unreadable_total`. Content that was
        /// put straight into the bucket (`direct`) is read and written by us, not copied by the
        /// store, if it is of such a type. Copies of remote media are not changed.
        pub strip_metadata: Vec<Kind> = Vec::new(),
        /// An upload of which nothing arrives for so long is given up.
        pub idle_timeout: Duration = Duration::from_mins(1),
        /// The longest that one upload may take.
        pub max_duration: Duration = Duration::from_hours(12),
        /// How old the remains of an upload must be before they are removed, when other
        /// processes may be writing too. Must be longer than `max_duration`.
        pub staging_lifetime: Duration = Duration::from_hours(24),
        /// How often remains and expired ids are looked for.
        pub sweep_interval: Duration = Duration::from_mins(10),
    }
}

impl UploadsConfig {
    /// Contradictions between settings: the key and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.staging_lifetime <= self.max_duration {
            found.push((
                "staging_lifetime",
                "must be longer than max_duration, or uploads in progress would be removed".to_owned(),
            ));
        }
        if self.direct && self.unused_lifetime > LONGEST_SIGNATURE {
            found.push((
                "unused_lifetime",
                "must be at most 7 days with uploads.direct: no URL works longer".to_owned(),
            ));
        }
        found
    }
}
