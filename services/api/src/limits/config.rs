//! Settings of the limits.

use heliograph_settings::{ByteRate, Rate};

heliograph_settings::settings! {
    /// How much each caller may do, counted over all instances; more is refused with 429
    /// `M_LIMIT_EXCEEDED` and the time to come again. `600/1m` is a bucket of 600 that fills up
    /// again evenly within a minute; `unlimited` is none. Content that is here and thumbnails
    /// that were made before cost nothing, except to those without a token. The defaults let
    /// every usual client do what it does: opening a room with hundreds of new faces as well.
    pub struct LimitsConfig {
        /// Uploads of one user.
        pub user_uploads: Rate = Rate::per_minute(600),
        /// Bytes that one user uploads.
        pub user_upload_bytes: ByteRate = ByteRate::per_hour(50 << 30),
        /// Ids that one user creates, and uploads that it completes.
        pub user_creates: Rate = Rate::per_minute(600),
        /// Media of other servers that are not here yet, asked for by one user.
        pub user_fetches: Rate = Rate::per_minute(3000),
        /// Bytes of such media.
        pub user_fetch_bytes: ByteRate = ByteRate::per_hour(20 << 30),
        /// Thumbnails that are not made yet, asked for by one user.
        pub user_renders: Rate = Rate::per_minute(3000),
        /// Previews of URLs, asked for by one user.
        pub user_previews: Rate = Rate::per_minute(300),
        /// Uploads of one application service (bridge), for all of its users together.
        pub service_uploads: Rate = Rate::per_minute(20_000),
        /// Bytes that one application service uploads.
        pub service_upload_bytes: ByteRate = ByteRate::per_hour(500 << 30),
        /// Ids that one application service creates, and uploads that it completes.
        pub service_creates: Rate = Rate::per_minute(20_000),
        /// Media of other servers that are not here yet, asked for by one application service.
        pub service_fetches: Rate = Rate::per_minute(20_000),
        /// Bytes of such media.
        pub service_fetch_bytes: ByteRate = ByteRate::per_hour(200 << 30),
        /// Thumbnails that are not made yet, asked for by one application service.
        pub service_renders: Rate = Rate::per_minute(20_000),
        /// Previews of URLs, asked for by one application service.
        pub service_previews: Rate = Rate::per_minute(3000),
        /// Requests without a token from one address (of IPv6, from one /64), and requests from
        /// it that are said to come from other servers, each.
        pub address_requests: Rate = Rate::per_minute(6000),
        /// Media of other servers that are not here yet, asked for from one address.
        pub address_fetches: Rate = Rate::per_minute(600),
        /// Bytes of such media.
        pub address_fetch_bytes: ByteRate = ByteRate::per_hour(5 << 30),
        /// Thumbnails that are not made yet, asked for from one address.
        pub address_renders: Rate = Rate::per_minute(1000),
        /// Requests of one other server.
        pub origin_requests: Rate = Rate::per_minute(12_000),
        /// Bytes of originals that one other server gets.
        pub origin_bytes: ByteRate = ByteRate::per_hour(200 << 30),
        /// Thumbnails that are not made yet, asked for by one other server.
        pub origin_renders: Rate = Rate::per_minute(3000),
    }
}
