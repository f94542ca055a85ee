//! One section of the settings: what it has, and how one value is put in.

use crate::Setting;

/// One key of a section, as the reference shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// What a value looks like, in words.
    pub kind: String,
    /// The default as TOML; `None` if the key is absent by default.
    pub default: Option<toml::Value>,
}

impl Field {
    /// Describes a field of type `T`.
    pub fn new<T: Setting>(name: &'static str, doc: &'static [&'static str], default: &T) -> Self {
        Self { name, doc, kind: T::kind(), default: default.show() }
    }
}

/// A section of the settings; made by [`settings!`](crate::settings).
pub trait Section: Default {
    /// What the section is about, line by line.
    const DOC: &'static [&'static str];

    /// Every key.
    fn fields() -> Vec<Field>;

    /// Puts one value in; `None` if there is no such key, an error if the value is bad.
    fn set(&mut self, key: &str, value: &toml::Value) -> Option<Result<(), String>>;
}
