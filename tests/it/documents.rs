//! What the documents say is true: snippets are those that are tested, links lead somewhere,
//! and the tests that are named exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use heliograph_tests::{Homeserver, heliograph};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The fenced blocks of this language, without their indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let mut found = Vec::new();
    for (start, _) in text.match_indices(&fence) {
        let indent = &text[text[..start].rfind('\n').map_or(0, |end| end + 1)..start];
        let body = text[start + fence.len()..].split(&format!("{indent}```")).next().unwrap();
        found.push(body.lines().map(|line| line.strip_prefix(indent).unwrap_or(line).to_owned() + "\n").collect());
    }
    found
}

#[test]
fn the_readme_shows_the_nginx_snippets_that_are_tested() {
    let tested = ["heliograph.conf", "bucket.conf", "cdn.conf"].map(|name| read(&format!("tests/nginx/{name}")));
    assert_eq!(blocks(&read("README.md"), "nginx"), tested);
}

#[tokio::test]
async fn the_settings_in_the_readme_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("signing.key");
    Homeserver::start("example.org").await.write_key(&key);
    let blocks = blocks(&read("README.md"), "toml");
    let here = |text: &str| text.replace("/etc/synapse/example.org.signing.key", key.to_str().unwrap());
    assert!(blocks.len() > 3, "there are settings to check");

    for block in &blocks {
        // The first is what every other one is added to.
        let settings = if *block == blocks[0] { here(block) } else { here(&blocks[0]) + block };
        let roles = match block {
            block if block.contains("advertise_url") => &["serve"][..],
            block if block.contains("[cluster]") => &["api", "federation"],
            block if block.contains("[edge]") => &["edge"],
            _ => &["serve"],
        };
        for role in roles {
            let file = folder.path().join("heliograph.toml");
            fs::write(&file, &settings).unwrap();
            let output =
                heliograph().arg("--config").arg(&file).args(["config", "check", "--role", role]).output().unwrap();

            assert!(output.status.success(), "{role}: {settings}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for document in ["README.md", "CHANGELOG.md", "services/ARCHITECTURE.md", "services/heliograph/SETTINGS.md"] {
        let folder = root().join(document).parent().unwrap().to_owned();
        let text = read(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "{document} leads to {target}, which is not there");
        }
    }
}

#[test]
fn the_tests_that_hold_an_invariant_exist() {
    let code = all_code();
    let document = read("services/ARCHITECTURE.md");
    let mentioned = document.split('`').skip(1).step_by(2);

    // Sentences with underscores between the words are names of tests; a fenced block is none.
    let is_name = |text: &&str| text.matches('_').count() >= 4 && !text.contains(char::is_whitespace);
    let names: Vec<&str> = mentioned.clone().filter(is_name).collect();
    let files = mentioned.filter(|name| name.starts_with("tests/"));

    assert!(names.len() > 3, "no tests are named: {names:?}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "there is no test {name}");
    }
    for file in files {
        assert!(root().join(file).exists(), "there is no {file}");
    }
}

/// All sources, one after the other.
pub(crate) fn all_code() -> String {
    let mut sources = Vec::new();
    for folder in ["proto", "services", "tests"] {
        collect(&root().join(folder), &mut sources);
    }
    sources.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}
