//! The sample file and the reference, made from the declarations of the settings.

use std::fmt::Write;

use heliograph_settings::{Field, Section};

use super::{Sections, Settings};

const SAMPLE_HEAD: &str = "\
# Settings of Heliograph: every key with its documentation and its default.
# Made by `heliograph config sample`. Nothing here needs to be set to try it out.
# Each key can also be given as an environment variable, which outranks this file:
# HELIOGRAPH_API_LISTEN is `listen` in `[api]`. Lists are separated by commas there.
";

const REFERENCE_HEAD: &str = "\
# Settings

<!-- Made by `heliograph config reference`; do not edit. -->

Settings are read from the TOML file named with `--config` or `HELIOGRAPH_CONFIG`, and then from the environment, which
outranks the file. An empty variable counts as not set; lists are separated by commas there. Without any settings,
`heliograph serve` starts in development mode. `heliograph config sample` prints a file with every key,
`heliograph config check` tells everything that is wrong with yours.
";

/// One section, as the manual shows it.
struct Described {
    name: &'static str,
    several: bool,
    doc: &'static [&'static str],
    fields: Vec<Field>,
}

#[derive(Default)]
struct Describe(Vec<Described>);

impl Describe {
    fn all() -> Vec<Described> {
        let mut describe = Self::default();
        Settings::visit(&mut describe);
        describe.0
    }

    fn add<S: Section>(&mut self, name: &'static str, several: bool) {
        self.0.push(Described { name, several, doc: S::DOC, fields: S::fields() });
    }
}

impl Sections for Describe {
    fn one<S: Section>(&mut self, name: &'static str) -> S {
        self.add::<S>(name, false);
        S::default()
    }

    fn several<S: Section>(&mut self, name: &'static str) -> Vec<S> {
        self.add::<S>(name, true);
        Vec::new()
    }
}

impl Described {
    fn variable(&self, field: &Field) -> String {
        format!("HELIOGRAPH_{}_{}", self.name, field.name).to_ascii_uppercase()
    }
}

/// A settings file with everything in it, the defaults commented out.
pub(crate) fn sample() -> String {
    let mut text = SAMPLE_HEAD.to_owned();
    for section in Describe::all() {
        text.push('\n');
        comment(&mut text, section.doc);
        if section.several {
            text.push_str("# May be there several times; the environment speaks of the first.\n");
        }
        // An empty homeserver would be an error, so this one is only shown.
        let header = if section.several { format!("#[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let _ = writeln!(text, "{header}");
        for field in &section.fields {
            text.push('\n');
            comment(&mut text, field.doc);
            let value = field.default.as_ref().map_or_else(|| example(field), ToString::to_string);
            let note = if field.default.is_none() { " # not set" } else { "" };
            let _ = writeln!(text, "#{} = {value}{note}", field.name);
        }
    }
    text
}

fn comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(text, "# {}", line.trim());
    }
}

/// A value for a key that is not set: the JSON, the URL or the path in its documentation, what its kind
/// has in quotes, or a word that fits.
fn example(field: &Field) -> String {
    let doc = field.doc.concat();
    if let Some(json) = doc.split('`').find(|word| word.starts_with('{')) {
        return format!("'{json}'");
    }
    let url = doc.split('`').find(|word| word.contains("://"));
    let kind = field.kind.as_str();
    let path = doc.split('`').find(|word| kind == "a path" && word.starts_with('/'));
    match url.or(path).or_else(|| kind.split('"').nth(1)) {
        Some(quoted) => format!("\"{quoted}\""),
        None if kind.starts_with("a whole number") => "1".to_owned(),
        None if kind == "a URL" => "\"http://example.org\"".to_owned(),
        None if kind == "a path" => "\"/path/to/file\"".to_owned(),
        None => "\"…\"".to_owned(),
    }
}

/// The reference of all settings, in Markdown.
pub(crate) fn reference() -> String {
    let mut text = REFERENCE_HEAD.to_owned();
    for section in Describe::all() {
        let brackets = if section.several { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let _ = writeln!(text, "\n## `{brackets}`\n\n{}", paragraph(section.doc));
        if section.several {
            text.push_str("\nMay be there several times. The environment speaks of the first.\n");
        }
        for field in &section.fields {
            let default = field.default.as_ref().map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
            let _ = write!(
                text,
                "\n### `{}.{}`\n\n{}\n\n- Value: {}\n- Default: {default}\n- Environment: `{}`\n",
                section.name,
                field.name,
                paragraph(field.doc),
                field.kind,
                section.variable(field),
            );
        }
    }
    text
}

fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use heliograph_settings::Problem;

    use super::*;
    use crate::cli::Role;

    /// Where the references are kept for readers.
    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    fn assert_fresh(name: &str, reference: &str) {
        let file = format!("{FOLDER}/{name}");
        if env::var_os("UPDATE_REFERENCE").is_some() {
            fs::write(&file, reference).unwrap();
        }

        let committed = fs::read_to_string(&file).unwrap_or_default();

        assert!(
            committed == reference,
            "services/heliograph/{name} is stale: run `UPDATE_REFERENCE=1 cargo test -p heliograph reference`"
        );
    }

    #[test]
    fn the_committed_reference_is_fresh() {
        assert_fresh("SETTINGS.md", &reference());
    }

    #[test]
    fn the_committed_reference_of_endpoints_is_fresh() {
        assert_fresh("ENDPOINTS.md", &heliograph_api::reference());
    }

    #[test]
    fn the_sample_changes_nothing() {
        let settings = Settings::load(&sample(), [], &[], Role::Serve).unwrap();

        let defaults = Settings::load("", [], &[], Role::Serve).unwrap();
        assert_eq!(format!("{settings:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn every_key_of_the_sample_can_be_used_as_it_stands() {
        let key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let sample = sample();
        let used: Vec<&str> = sample.lines().map(|line| if key(line) { &line[1..] } else { line }).collect();

        if let Err(problems) = Settings::load(&used.join("\n"), [], &[], Role::Serve) {
            // There are keys for every kind of store and every form of Redis, and one example of a place.
            let of_others = |problem: &&Problem| {
                ["is only for a store in", "is the place of another store", "needs a redis_url"]
                    .iter()
                    .any(|beginning| problem.message.starts_with(beginning))
            };
            let others: Vec<String> =
                problems.iter().filter(|problem| !of_others(problem)).map(ToString::to_string).collect();
            assert_eq!(others, [""; 0]);
        }
    }

    #[test]
    fn every_setting_is_documented_and_has_a_variable_of_its_own() {
        let mut variables = Vec::new();
        for section in Describe::all() {
            for field in &section.fields {
                assert!(field.doc.iter().any(|line| line.trim().len() > 10), "{}.{}", section.name, field.name);
                variables.push(section.variable(field));
            }
        }
        let all = variables.len();
        variables.sort();
        variables.dedup();

        assert_eq!(variables.len(), all);
    }
}
