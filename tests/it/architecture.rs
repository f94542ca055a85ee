//! The direction of dependencies: types and settings <- libraries <- proto and runtime <-
//! services <- the binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

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
    // It speaks to the processes from outside, as a client does; the S3 server that it gives them is part of `blobs`.
    ("tests", &["blobs"]),
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

/// Roles, as features of the binary.
const ROLES: [&str; 5] = ["api", "uploads", "thumbnails", "federation", "edge"];

/// What reads files of strangers, or makes processes that do.
const OF_THE_THUMBNAILER: &[&str] = &[
    "blurhash",
    "heliograph-imaging",
    "heliograph-jail",
    "image",
    "jxl",
    "landlock",
    "libwebp-sys",
    "moxcms",
    "png",
    "rav1d",
    "ravif",
    "resvg",
    "seccompiler",
    "tiff",
    "usvg",
    "weezl",
    "zune-jpeg",
];

/// What reads pages of strangers, and answers of their servers.
const OF_THE_FETCHER: &[&str] =
    &["chardetng", "flate2", "heliograph-federation-fetcher", "heliograph-preview", "html5gum", "imagesize"];

#[test]
fn what_reads_files_of_strangers_is_in_the_program_of_the_thumbnailer_alone() {
    for role in ROLES {
        let crates = crates_of_program(role);

        let expected: &[&str] = if role == "thumbnails" { OF_THE_THUMBNAILER } else { &[] };
        assert_eq!(present(OF_THE_THUMBNAILER, &crates), expected, "{role}");
    }
}

#[test]
fn what_reads_pages_of_strangers_is_in_the_program_of_the_fetcher_alone() {
    for role in ROLES.into_iter().filter(|role| *role != "thumbnails") {
        let crates = crates_of_program(role);

        let expected: &[&str] = if role == "federation" { OF_THE_FETCHER } else { &[] };
        assert_eq!(present(OF_THE_FETCHER, &crates), expected, "{role}");
    }
}

/// What a program has otherwise than the others, or it and what it alone has.
const COMPILED_ANEW: &[&str] = &["flate2", "heliograph", "heliograph-thumbnailer", "imagesize", "simd-adler32"];

#[test]
fn the_programs_of_all_roles_share_what_is_compiled() {
    let whole = compiled("serve,edge");

    for role in ROLES {
        let other: Vec<String> = compiled(role).difference(&whole).cloned().collect();

        let is_known = |crate_: &String| COMPILED_ANEW.iter().any(|name| crate_.starts_with(&format!("{name} ")));
        let anew: Vec<&String> = other.iter().filter(|crate_| !is_known(crate_)).collect();
        assert!(
            anew.is_empty(),
            "{role} has these with other features than the whole: see services/heliograph: {anew:?}"
        );
    }
}

/// Every crate that is compiled for the program with these roles, with its features.
fn compiled(roles: &str) -> BTreeSet<String> {
    let tree = tree_of_program(roles, "normal,build", "{p} [{f}]");
    tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// All crates that are compiled into the program that has this role alone.
fn crates_of_program(role: &str) -> BTreeSet<String> {
    let tree = tree_of_program(role, "normal", "{p}");
    tree.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

fn tree_of_program(roles: &str, edges: &str, format: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--locked", "--package", "heliograph", "--no-default-features", "--features", roles]);
    tree.args(["--edges", edges, "--format", format, "--prefix", "none"]).current_dir(root);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn present<'a>(names: &[&'a str], crates: &BTreeSet<String>) -> Vec<&'a str> {
    names.iter().copied().filter(|name| crates.contains(*name)).collect()
}

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
