//! A settings file in the making.

use std::{fmt, path::Path};

use toml::{Table, Value};

/// Settings of one process.
#[derive(Debug, Clone, Default)]
pub struct Settings(Table);

impl Settings {
    /// Sets one value, such as `set("api", "listen", "127.0.0.1:0")`.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) -> &mut Self {
        let table = self.0.entry(section).or_insert_with(|| Value::Table(Table::new()));
        table.as_table_mut().unwrap().insert(key.to_owned(), value.into());
        self
    }

    /// A value that is set.
    pub fn find(&self, section: &str, key: &str) -> Option<&Value> {
        self.0.get(section)?.get(key)
    }

    /// Sets one value unless it is set.
    pub fn set_default(&mut self, section: &str, key: &str, value: impl Into<Value>) -> &mut Self {
        let is_set = self.find(section, key).is_some();
        if is_set { self } else { self.set(section, key, value) }
    }

    /// Adds one table to those of a section that may be there several times.
    pub fn add(&mut self, section: &str, table: Table) -> &mut Self {
        let list = self.0.entry(section).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().unwrap().push(Value::Table(table));
        self
    }

    /// Adds a homeserver.
    pub fn homeserver(&mut self, server_name: &str, url: &str, signing_key_file: &Path) -> &mut Self {
        let homeserver = Table::from_iter([
            ("server_name".to_owned(), Value::from(server_name)),
            ("url".to_owned(), Value::from(url)),
            ("signing_key_file".to_owned(), Value::from(signing_key_file.to_str().unwrap())),
        ]);
        self.add("homeserver", homeserver)
    }

    /// Sets one value of every homeserver that was added so far.
    pub fn set_of_homeservers(&mut self, key: &str, value: &Value) -> &mut Self {
        for homeserver in self.0.get_mut("homeserver").and_then(Value::as_array_mut).into_iter().flatten() {
            homeserver.as_table_mut().unwrap().insert(key.to_owned(), value.clone());
        }
        self
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(&self.0).unwrap())
    }
}
