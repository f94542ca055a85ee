//! Settings of the store.

use std::path::{Path, PathBuf};

use heliograph_settings::{Setting, toml::Value};
use url::Url;

heliograph_settings::settings! {
    /// Where bytes and records are kept.
    pub struct StorageConfig {
        /// The store: a folder, such as `file:///var/lib/heliograph/media`. Without it, the
        /// folder `media` below the data folder.
        pub url: Option<StoreUrl> = None,
        /// How much is read from the store at once while a file is sent. Each download in
        /// progress holds up to two such pieces in memory.
        pub read_chunk_size: bytesize::ByteSize = bytesize::ByteSize::kib(256),
        /// How much of an upload is collected before it is written. Each upload in progress
        /// holds up to two such pieces in memory.
        pub write_chunk_size: bytesize::ByteSize = bytesize::ByteSize::mib(1),
    }
}

/// The URL of a store: an absolute folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    url: Url,
    folder: PathBuf,
}

impl StoreUrl {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn parse(text: &str) -> Option<Self> {
        // A URL knows no relative paths: it would take `file:media` for `/media`.
        if !text.starts_with("file:///") {
            return None;
        }
        let url: Url = text.parse().ok()?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let folder = url.to_file_path().ok().filter(|_| is_plain)?;
        Some(Self { url, folder })
    }
}

impl Setting for StoreUrl {
    fn read(value: &Value) -> Result<Self, String> {
        let url = value.as_str().and_then(Self::parse);
        url.ok_or_else(|| format!("must be {}, not {value}", Self::kind()))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.url.to_string()))
    }

    fn kind() -> String {
        "an absolute folder such as \"file:///var/lib/heliograph/media\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StoreUrl, String> {
        StoreUrl::read(&Value::String(text.to_owned()))
    }

    #[test]
    fn a_store_is_an_absolute_folder() {
        assert_eq!(read("file:///srv/media").unwrap().folder(), Path::new("/srv/media"));
        assert_eq!(read("file:///srv/our%20media/").unwrap().folder(), Path::new("/srv/our media"));
    }

    #[test]
    fn nothing_else_is_a_store() {
        for bad in ["", "/srv/media", "file:media", "file:/srv", "file://media", "file:///a?b", "file:///a#b", "s3://a"]
        {
            let error = read(bad).unwrap_err();
            assert!(error.contains("file:///var/lib") && error.ends_with(&format!("not \"{bad}\"")), "{error}");
        }
    }
}
