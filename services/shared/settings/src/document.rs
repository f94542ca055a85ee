//! The file and the environment together, taken apart section by section.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{Problems, Section};

/// The word before every variable of ours.
const PREFIX: &str = "HELIOGRAPH_";

/// Everything that the operator has set and nobody has taken yet. What is left at the end
/// is unknown.
#[derive(Debug)]
pub struct Document {
    file: Table,
    environment: BTreeMap<String, String>,
    problems: Problems,
}

impl Document {
    /// From the text of the file and all variables of the environment. `ignored` are
    /// variables with our prefix that are no settings.
    pub fn new(file: &str, environment: impl IntoIterator<Item = (String, String)>, ignored: &[&str]) -> Self {
        let mut problems = Problems::default();
        let file = file.parse().unwrap_or_else(|error: toml::de::Error| {
            problems.push("file", error.to_string().trim_end());
            Table::new()
        });
        let environment = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !ignored.contains(&name.as_str()))
            .collect();
        Self { file, environment, problems }
    }

    /// Takes the section `[name]`.
    pub fn section<S: Section>(&mut self, name: &str) -> S {
        let mut table = match self.file.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.problems.push(name, format!("must be a section: [{name}]"));
                Table::new()
            }
        };
        self.overlay::<S>(name, &mut table);
        self.fill(name, &table)
    }

    /// Takes the list of sections `[[name]]`. The environment speaks of the first.
    pub fn sections<S: Section>(&mut self, name: &str) -> Vec<S> {
        let mut tables: Vec<Table> = match self.file.remove(name) {
            None => Vec::new(),
            Some(Value::Array(values)) if values.iter().all(Value::is_table) => values
                .into_iter()
                .filter_map(|value| if let Value::Table(table) = value { Some(table) } else { None })
                .collect(),
            Some(_) => {
                self.problems.push(name, format!("must be a list of sections: [[{name}]]"));
                Vec::new()
            }
        };
        let mut from_environment = Table::new();
        self.overlay::<S>(name, &mut from_environment);
        if !from_environment.is_empty() {
            if tables.is_empty() {
                tables.push(Table::new());
            }
            tables[0].extend(from_environment);
        }
        let path = |index: usize| if index == 0 { name.to_owned() } else { format!("{name}[{index}]") };
        tables.iter().enumerate().map(|(index, table)| self.fill(&path(index), table)).collect()
    }

    /// Notes what is wrong with a value that could be read. Of a key only the first problem is
    /// told: the others mostly follow from it.
    pub fn problem(&mut self, key: &str, message: impl Into<String>) {
        if self.problems.iter().all(|problem| problem.key != key) {
            self.problems.push(key, message);
        }
    }

    /// `settings` if nothing is wrong; what nobody took is unknown, and wrong.
    pub fn finish<T>(mut self, settings: T) -> Result<T, Problems> {
        for name in self.file.keys() {
            self.problems.push(name, "is not a known section");
        }
        for name in self.environment.keys() {
            self.problems.push(format!("environment variable {name}"), "is not a known setting");
        }
        self.problems.or(settings)
    }

    fn overlay<S: Section>(&mut self, section: &str, table: &mut Table) {
        for field in S::fields() {
            let variable = format!("{PREFIX}{section}_{}", field.name).to_ascii_uppercase();
            if let Some(value) = self.environment.remove(&variable) {
                table.insert(field.name.to_owned(), Value::String(value));
            }
        }
    }

    fn fill<S: Section>(&mut self, path: &str, table: &Table) -> S {
        let mut section = S::default();
        for (key, value) in table {
            match section.set(key, value) {
                Some(Ok(())) => {}
                Some(Err(message)) => self.problems.push(format!("{path}.{key}"), message),
                None => self.problems.push(format!("{path}.{key}"), "is not a known setting"),
            }
        }
        section
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    crate::settings! {
        /// A section.
        struct Example {
            /// A size.
            size: bytesize::ByteSize = bytesize::ByteSize::mib(1),
            /// A span.
            span: Duration = Duration::from_secs(90),
            /// A list.
            names: Vec<String> = Vec::new(),
            /// A switch.
            on: bool = true,
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_outranks_the_file() {
        let file = "[example]\nsize = \"2 MiB\"\nspan = \"1s\"";
        let mut document = Document::new(
            file,
            environment(&[("HELIOGRAPH_EXAMPLE_SPAN", "2s"), ("HELIOGRAPH_EXAMPLE_NAMES", "a, b")]),
            &[],
        );

        let example: Example = document.section("example");
        let example = document.finish(example).unwrap();

        assert_eq!(example.size.as_u64(), 2 << 20);
        assert_eq!(example.span, Duration::from_secs(2));
        assert_eq!(example.names, ["a", "b"]);
        assert!(example.on);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let file = "[example]\nsize = \"big\"\nspn = 1\non = 3\n[other]";
        let mut document = Document::new(file, environment(&[("HELIOGRAPH_NO_SUCH", "x"), ("OTHER", "x")]), &[]);

        let example: Example = document.section("example");
        let problems = document.finish(example).unwrap_err();

        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(
            keys,
            ["example.on", "example.size", "example.spn", "other", "environment variable HELIOGRAPH_NO_SUCH"]
        );
    }

    #[test]
    fn of_a_key_the_first_problem_is_told() {
        let mut document = Document::new("[example]\nsize = \"big\"", [], &[]);
        let example: Example = document.section("example");

        for key in ["example.size", "example.span", "example.span"] {
            document.problem(key, "follows");
        }

        let problems = document.finish(example).unwrap_err();
        let told: Vec<_> =
            problems.iter().map(|problem| (problem.key.as_str(), problem.message == "follows")).collect();
        assert_eq!(told, [("example.size", false), ("example.span", true)]);
    }

    #[test]
    fn a_span_is_no_longer_than_a_century() {
        let file = |span| format!("[example]\nspan = \"{span}\"");

        for (span, is_good) in [("0s", true), ("100y", true), ("101y", false), ("1000000000000y", false)] {
            let mut document = Document::new(&file(span), [], &[]);
            let example: Example = document.section("example");
            assert_eq!(document.finish(example).is_ok(), is_good, "{span}");
        }
    }

    #[test]
    fn a_list_of_sections_takes_the_environment_into_its_first() {
        let file = "[[example]]\nspan = \"1s\"\n[[example]]\nspan = \"3s\"";
        let mut document = Document::new(file, environment(&[("HELIOGRAPH_EXAMPLE_SPAN", "2s")]), &[]);

        let examples: Vec<Example> = document.sections("example");

        assert_eq!(examples.iter().map(|example| example.span.as_secs()).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_broken_file_is_one_problem() {
        let problems = Document::new("[a", [], &[]).finish(()).unwrap_err();

        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["file"]);
    }
}
