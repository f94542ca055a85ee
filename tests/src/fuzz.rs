//! The fuzzer: sends requests that nobody would, and checks what comes back.
//!
//! Requests are made from a grammar (every endpoint, nasty words in every place), from the
//! corpus in `tests/fuzz-corpus`, and by mutation of both. What is sent depends on the seed
//! alone, but for the ids of media. What must hold of every answer is in `rules`.

mod answer;
mod dice;
mod endpoints;
mod grammar;
mod mutate;
mod origin;
mod report;
mod rules;
mod scene;
mod sent;
mod template;
mod words;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

pub use report::{Finding, Report};

use dice::Dice;
use grammar::Grammar;
use scene::Scene;
use template::Template;
use worker::Worker;

/// Connections that are open at once.
const WORKERS: u64 = 8;
/// How often media are made anew: requests of administrators delete them.
const FRESH_EVERY: Duration = Duration::from_millis(700);

/// Replays the corpus, then fuzzes for so long.
pub async fn fuzz(seed: u64, span: Duration) -> Report {
    let mut scene = Scene::start().await;
    let corpus = read_corpus(&folder());
    let report = Arc::new(Mutex::new(Report::new(seed)));
    replay(&scene, &corpus, &report).await;
    let templates = Arc::new(corpus.into_iter().map(|(_, template)| template).collect::<Vec<_>>());
    let until = Instant::now() + span;
    let mut workers = JoinSet::new();
    for nth in 0..WORKERS {
        let grammar = Grammar::new(Dice::new(seed.wrapping_mul(WORKERS).wrapping_add(nth)), Arc::clone(&templates));
        let mut worker = Worker::new(scene.address(), scene.values(), Arc::clone(&report));
        workers.spawn(async move { worker.run(grammar, until).await });
    }
    while !workers.is_empty() {
        let fresh = tokio::time::timeout(FRESH_EVERY, workers.join_next()).await;
        match fresh {
            Ok(ended) => ended.into_iter().for_each(|ended| ended.unwrap()),
            Err(_) => scene.refresh().await,
        }
    }
    let last = scene.check_the_end().await;
    let mut report = Arc::into_inner(report).unwrap().into_inner().unwrap();
    report.finish(last);
    report
}

/// Each entry alone, on a connection of its own, so that its name can be told.
async fn replay(scene: &Scene, corpus: &[(String, Template)], report: &Arc<Mutex<Report>>) {
    for (name, template) in corpus {
        report.lock().unwrap().replaying(Some(name));
        Worker::new(scene.address(), scene.values(), Arc::clone(report)).try_one(template).await;
    }
    report.lock().unwrap().replaying(None);
}

/// Where the corpus is. What does not hold yet is in `open` below it: sent as it is, but
/// nothing is made of it, or everything else would hide behind it.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus")
}

fn read_corpus(folder: &Path) -> Vec<(String, Template)> {
    let mut entries: Vec<(String, Template)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "http"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), Template::parse(&text))
        })
        .collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries
}
