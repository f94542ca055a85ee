//! The direction of dependencies: types and settings <- libraries <- proto and runtime <-
//! services <- the binary.

use std::{collections::BTreeMap, fs, path::Path};

use toml::Table;

/// What each crate may use of ours, besides `types` and `settings`, which all may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("settings", &[]),
    ("proto", &[]),
    ("runtime", &[]),
    ("jail", &[]),
    ("jpeg", &[]),
    ("imaging", &["jpeg"]),
    ("preview", &[]),
    ("strip", &["jpeg"]),
    ("blobs", &[]),
    ("leases", &[]),
    ("matrix", &["leases"]),
    ("catalog", &["blobs", "leases"]),
    ("api", LIBRARIES),
    ("upload-orchestrator", LIBRARIES),
    ("thumbnailer", &["proto", "runtime", "blobs", "leases", "matrix", "catalog", "imaging", "jail"]),
    ("federation-fetcher", LIBRARIES),
    // It meets the core as clients do.
    ("edge", &["runtime", "matrix"]),
    ("heliograph", EVERYTHING),
    // It speaks to the processes from outside, as a client does.
    ("tests", &[]),
];

const LIBRARIES: &[&str] = &["proto", "runtime", "preview", "strip", "blobs", "leases", "matrix", "catalog"];

const EVERYTHING: &[&str] = &[
    "jail",
    "proto",
    "runtime",
    "blobs",
    "leases",
    "matrix",
    "catalog",
    "api",
    "upload-orchestrator",
    "thumbnailer",
    "federation-fetcher",
    "edge",
];

#[test]
fn dependencies_point_in_one_direction() {
    let crates = crates();

    let mut wrong = Vec::new();
    for (name, used) in &crates {
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("the crate {name} has no place in the order: give it one here"));
        for other in used.iter().filter(|other| !is_common(other) && !allowed.contains(&other.as_str())) {
            wrong.push(format!("{name} uses {other}"));
        }
    }

    assert!(wrong.is_empty(), "against the direction of dependencies: {wrong:?}");
    assert_eq!(crates.len(), ALLOWED.len(), "a crate is gone: {:?}", crates.keys());
}

/// `types` itself uses none of ours, as a settings type may be one of its own.
fn is_common(name: &str) -> bool {
    matches!(name, "types" | "settings")
}

#[test]
fn the_foundation_stands_on_nothing_of_ours() {
    let crates = crates();

    assert!(crates["types"].is_empty(), "types uses {:?}", crates["types"]);
    assert_eq!(crates["settings"], ["types"]);
}

/// Each crate of the workspace, without the `heliograph-` in front, and what it uses of ours
/// outside its tests.
fn crates() -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let services = ["services", "services/shared"].map(|folder| root.join(folder));
    let folders = services.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let manifests = folders.chain([root.join("proto"), root.join("tests")]).map(|folder| folder.join("Cargo.toml"));
    manifests.filter(|file| file.is_file()).map(|file| describe(&fs::read_to_string(file).unwrap())).collect()
}

fn describe(manifest: &str) -> (String, Vec<String>) {
    let manifest: Table = manifest.parse().unwrap();
    let name = short(manifest["package"]["name"].as_str().unwrap()).unwrap();
    let tables = ["dependencies", "build-dependencies"].iter().filter_map(|key| manifest.get(*key)?.as_table());
    let used = tables.flat_map(Table::keys).filter_map(|key| short(key)).collect();
    (name, used)
}

fn short(name: &str) -> Option<String> {
    if name == "heliograph" { Some(name.to_owned()) } else { name.strip_prefix("heliograph-").map(str::to_owned) }
}
