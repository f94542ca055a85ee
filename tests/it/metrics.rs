//! `METRICS.md` is true: of the code, of what running processes show, and of what dashboards and
//! alerts ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use heliograph_tests::{Client, Deployment, Edge, Origin, Peer, Setup, Shape, both_shapes, jpeg, noise};
use reqwest::Method;
use serde_json::json;

/// No label may have more values than that: more than there are endpoints and statuses together,
/// less than a careless caller makes.
const MOST_VALUES: usize = 64;

/// A metric as the list has it.
#[derive(Debug)]
struct Listed {
    kind: String,
    /// Its labels, and their values if these are listed.
    labels: BTreeMap<String, Option<BTreeSet<String>>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document() -> String {
    fs::read_to_string(root().join("services/heliograph/METRICS.md")).unwrap()
}

/// The cells of every row of every table.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn list() -> BTreeMap<String, Listed> {
    let text = document();
    let metrics =
        rows(&text).into_iter().filter(|row| row[0].starts_with("`heliograph_") || row[0].starts_with("`process_"));
    let list: BTreeMap<_, _> = metrics
        .map(|row| {
            let labels = row[2].split("; ").filter(|label| !label.is_empty()).map(read_label).collect();
            (row[0].trim_matches('`').to_owned(), Listed { kind: row[1].to_owned(), labels })
        })
        .collect();
    assert!(list.len() > 60, "only {} metrics are listed", list.len());
    list
}

/// `name` = one, two; or `name` = *what it is*.
fn read_label(text: &str) -> (String, Option<BTreeSet<String>>) {
    let (name, values) = text.split_once(" = ").unwrap_or_else(|| panic!("{text} is no label"));
    let values = (!values.starts_with('*')).then(|| values.split(", ").map(str::to_owned).collect());
    (name.trim_matches('`').to_owned(), values)
}

/// All files below a folder that end so, but for what is no part of the program.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true if ["target", "golden", "examples"].iter().any(|name| path.ends_with(name)) => Vec::new(),
            true => files(&path, end),
            false if path.to_str().unwrap().ends_with(end) => vec![path],
            false => Vec::new(),
        })
        .collect()
}

/// Every name of this beginning in a text, up to what cannot be in one.
fn names(text: &str, beginning: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_lowercase() || character == '_';
    text.match_indices(beginning)
        .filter(|(at, _)| !text[..*at].ends_with(is_part))
        .map(|(at, _)| text[at..].split(|character| !is_part(character)).next().unwrap().to_owned())
        .collect()
}

/// The names of metrics that are written into the code.
fn names_in_code() -> BTreeSet<String> {
    let folders = ["services", "proto/src"].map(|folder| files(&root().join(folder), ".rs"));
    let texts = folders.concat().into_iter().map(|file| fs::read_to_string(file).unwrap());
    let quoted =
        |text: String| ["\"heliograph_", "\"process_"].map(|beginning| names_quoted(&text, beginning)).concat();
    // Beside them only crates are called so, in log filters.
    texts.flat_map(quoted).filter(|name| name != "heliograph_api").collect()
}

fn names_quoted(text: &str, beginning: &str) -> Vec<String> {
    let ends = text.match_indices(beginning).map(|(at, _)| text[at + 1..].split('"').next().unwrap());
    ends.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).map(str::to_owned).collect()
}

#[test]
fn the_list_has_every_metric_of_the_code_and_no_other() {
    let listed: BTreeSet<String> = list().into_keys().collect();
    let coded = names_in_code();

    assert_eq!(coded.difference(&listed).collect::<Vec<_>>(), [""; 0], "are not listed");
    assert_eq!(listed.difference(&coded).collect::<Vec<_>>(), [""; 0], "are not in the code");
}

#[test]
fn dashboards_and_alerts_ask_only_for_metrics_that_there_are() {
    let listed = list();
    let chart = root().join("k8s/heliograph");
    let mut asked = BTreeSet::new();
    for end in [".json", ".yaml"] {
        for file in files(&chart, end) {
            let text = fs::read_to_string(&file).unwrap();
            for name in ["heliograph_", "process_"].into_iter().flat_map(|beginning| names(&text, beginning)) {
                let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let is_listed = listed.contains_key(&name)
                    || histogram.is_some_and(|name| listed.get(name).is_some_and(|it| it.kind == "histogram"));
                assert!(is_listed, "{}: there is no metric {name}", file.display());
                asked.insert(name);
            }
        }
    }
    assert!(asked.len() > 20, "only {asked:?} are asked for");
}

#[test]
fn the_limits_name_settings_and_metrics_that_there_are() {
    let (text, listed) = (document(), list());
    let settings = fs::read_to_string(root().join("services/heliograph/SETTINGS.md")).unwrap();
    let limits = rows(text.split_once("## Limits").unwrap().1);
    assert!(limits.len() > 30, "only {} limits are listed", limits.len());

    for row in &limits[1..] {
        for setting in row[1].split(", ") {
            assert!(settings.contains(&format!("### {setting}\n")), "there is no setting {setting}");
        }
        for name in names(row[3], "heliograph_") {
            assert!(listed.contains_key(&name), "there is no metric {name}");
        }
    }
}

/// What a process shows: the kind of each metric, and every value of each of its labels.
#[derive(Debug, Default)]
struct Shown {
    kinds: BTreeMap<String, String>,
    labels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Shown {
    async fn add(&mut self, client: &Client) {
        let text = String::from_utf8(client.get("/metrics").await.ok().to_vec()).unwrap();
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                self.kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.is_empty() && !line.starts_with('#') {
                self.add_sample(line);
            }
        }
    }

    fn add_sample(&mut self, line: &str) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = base.filter(|base| self.kinds.get(*base).is_some_and(|kind| kind == "histogram")).unwrap_or(name);
        let shown = self.labels.entry(name.to_owned()).or_default();
        for (label, value) in labels.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            if label != "le" {
                shown.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
            }
        }
    }

    fn check(&self) {
        let listed = list();
        for (name, kind) in &self.kinds {
            let metric = listed.get(name).unwrap_or_else(|| panic!("{name} is not listed"));
            assert_eq!(&metric.kind, kind, "{name}");
            let shown = self.labels.get(name).cloned().unwrap_or_default();
            let expected: BTreeSet<&String> = metric.labels.keys().collect();
            assert_eq!(shown.keys().collect::<BTreeSet<_>>(), expected, "the labels of {name}");
            for (label, values) in &shown {
                assert!(values.len() <= MOST_VALUES, "{name} has too many values of {label}: {values:?}");
                if let Some(allowed) = &metric.labels[label] {
                    assert!(values.is_subset(allowed), "{label} of {name} is {values:?}, not {allowed:?}");
                }
            }
        }
    }
}

/// Of every role what it does, and of it what goes wrong; of what strangers choose, a lot.
async fn use_everything(deployment: &Deployment, peer: &Peer, remote: &str) {
    let (alice, stranger) = (deployment.alice(), deployment.stranger());
    let id = alice.upload(jpeg(400, 300), "image/jpeg").await;
    alice.upload(jpeg(400, 300), "image/jpeg").await;
    let large = alice.upload(noise(2_000_000, 1), "video/mp4").await;
    for id in [&id, &large, &id, &remote.to_owned()] {
        alice.download(id).await.ok();
    }
    for size in [32, 96, 320] {
        alice.get(&format!("/_matrix/client/v1/media/thumbnail/{id}?width={size}&height={size}")).await.ok();
    }
    alice.get(&format!("/_matrix/client/v1/media/thumbnail/{large}?width=96&height=96")).await;
    for number in 0..2 * MOST_VALUES {
        alice.get(&format!("/_matrix/client/v1/media/download/media.test/nothing{number}")).await;
        alice.get(&format!("/_matrix/nothing{number}")).await;
        stranger.get(&format!("/_matrix/media/v3/download/server{number}.invalid/x?allow_remote=false")).await;
        stranger.ask(Method::from_bytes(format!("M{number}").as_bytes()).unwrap(), "/_matrix/media/v3/upload").await;
    }
    alice.ask(Method::POST, "/_matrix/media/v1/create").await.ok();
    alice.with_token("unknown").get("/_matrix/client/v1/media/config").await;
    alice.get("/_matrix/client/v1/media/preview_url?url=http%3A%2F%2F127.0.0.9%3A1%2F").await;
    alice.get("/_matrix/client/v1/media/download/127.0.0.9:1/abc").await;
    let media_id = id.split_once('/').unwrap().1;
    peer.get(deployment, &format!("/_matrix/federation/v1/media/download/{media_id}")).await.ok();
    alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();
}

both_shapes! {
    async fn what_processes_show_is_listed_and_bounded(shape: Shape) {
        let origin = Origin::of_type(&jpeg(300, 200), "image/jpeg").await;
        origin.go_on(100);
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        let edge = Edge::start(deployment.address()).await;

        use_everything(&deployment, &origin.peer, &origin.id()).await;
        let id = deployment.alice().upload(jpeg(200, 100), "image/jpeg").await;
        for _ in 0..2 {
            edge.alice().download(&id).await.ok();
        }
        edge.keeps(1).await;

        let mut shown = Shown::default();
        for address in deployment.health_addresses().into_iter().chain([edge.address()]) {
            shown.add(&Client::plain(address, "")).await;
        }
        shown.check();
        assert!(shown.kinds.len() > 40, "only {:?}", shown.kinds);
        for name in [
            "heliograph_upload_phase_seconds",
            "heliograph_download_phase_seconds",
            "heliograph_federation_phase_seconds",
            "heliograph_thumbnail_store_seconds",
            "heliograph_store_operation_seconds",
            "heliograph_state_operation_seconds",
            "heliograph_homeserver_request_seconds",
            "heliograph_edge_reads_total",
        ] {
            assert!(shown.kinds.contains_key(name), "{name} is not shown");
        }
        let tenants = &shown.labels["heliograph_delivered_bytes_total"]["tenant"];
        assert_eq!(tenants.iter().map(String::as_str).collect::<Vec<_>>(), ["media.test", "remote"]);
    }
}
