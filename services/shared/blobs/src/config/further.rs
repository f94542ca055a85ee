//! Settings of stores besides the usual one.

use std::path::Path;

use heliograph_settings::{Field, Section, toml::Value};
use heliograph_types::StoreName;

use super::{ConditionalCreate, StorageConfig};

/// A further store: its name, and where it is.
#[derive(Debug, Clone, Default)]
pub struct StoreConfig {
    /// What it is called; without a name it is none.
    pub name: Option<StoreName>,
    /// As the usual store is told.
    pub storage: StorageConfig,
}

const NAME_DOC: &[&str] = &[
    "What it is called: at most 32 of `a-z`, `0-9` and `-`, such as `eu`. Records name the store of their bytes so:",
    "the name of a store that holds media must stay. Required.",
];

/// All of `[storage]`, and a name.
impl Section for StoreConfig {
    const DOC: &'static [&'static str] = &[
        "A further store for the bytes of media, such as one in another region; `api.upload_store` says who uploads",
        "there. Records and thumbnails stay in the store of `[storage]`, whose keys this has too. Every process must",
        "know all stores. A store must be nobody else's: what no record names is removed there.",
    ];

    fn fields() -> Vec<Field> {
        let name = Field::new::<Option<StoreName>>("name", NAME_DOC, &None);
        std::iter::once(name).chain(StorageConfig::fields()).collect()
    }

    fn set(&mut self, key: &str, value: &Value) -> Option<Result<(), String>> {
        match key {
            "name" => Some(heliograph_settings::Setting::read(value).map(|name| self.name = name)),
            _ => self.storage.set(key, value),
        }
    }
}

impl StoreConfig {
    /// Settings that do not go together: the field, and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = self.storage.contradictions();
        let required = [("name", self.name.is_none()), ("url", self.storage.url.is_none())];
        let missing = required.into_iter().filter(|(_, is_missing)| *is_missing);
        found.extend(missing.map(|(field, _)| (field, "is required".to_owned())));
        if self.storage.conditional_create != ConditionalCreate::Probe {
            found.push(("conditional_create", "is only for [storage]: records lie there".to_owned()));
        }
        found
    }
}

impl StorageConfig {
    /// Whether one of two stores lies within the other: each would take what is the other's for
    /// remains.
    pub fn overlaps(&self, other: &Self, data_folder: &Path) -> bool {
        let within = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
        match (self.bucket(), other.bucket()) {
            (Some(a), Some(b)) => {
                let path =
                    |prefix: &Option<crate::Key>| prefix.as_ref().map_or("", |prefix| prefix.as_str()).to_owned();
                let (here, there) = (path(&a.prefix), path(&b.prefix));
                let is_one_bucket = a.cloud == b.cloud && a.name == b.name && self.endpoint == other.endpoint;
                is_one_bucket && self.account == other.account && within(here.as_ref(), there.as_ref())
            }
            (None, None) => match (self.folder(data_folder), other.folder(data_folder)) {
                (Some(a), Some(b)) => within(&a, &b),
                _ => false,
            },
            _ => false,
        }
    }
}
