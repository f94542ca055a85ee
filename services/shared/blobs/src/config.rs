//! Settings of the store.

use url::Url;

heliograph_settings::settings! {
    /// Where bytes and records are kept.
    pub struct StorageConfig {
        /// The store: `file:///absolute/folder`. Without it, the folder `media` below the
        /// data folder.
        pub url: Option<Url> = None,
        /// How much is read from the store at once while a file is sent. Each download in
        /// progress holds up to two such pieces in memory.
        pub read_chunk_size: bytesize::ByteSize = bytesize::ByteSize::kib(256),
        /// How much of an upload is collected before it is written. Each upload in progress
        /// holds up to two such pieces in memory.
        pub write_chunk_size: bytesize::ByteSize = bytesize::ByteSize::mib(1),
    }
}
