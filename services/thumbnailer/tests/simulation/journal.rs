//! What has happened: which pictures came, who is at work on which, and what was done.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use heliograph_leases::State;

use super::QUEUE;

/// Of all workers together.
#[derive(Default)]
pub(crate) struct Journal(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    pictures: Vec<String>,
    jobs_at_work: HashSet<String>,
    being_made: HashSet<String>,
    done: HashMap<String, usize>,
    made: HashSet<String>,
    made_again: usize,
    /// What must never happen.
    offences: Vec<String>,
}

/// What somebody is at work on, until it is dropped: at the end, or with the worker.
pub(crate) struct AtWork<'a>(&'a Journal, String, fn(&mut Pages) -> &mut HashSet<String>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        (self.2)(&mut self.0.pages()).remove(&self.1);
    }
}

impl Journal {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }

    pub(crate) fn added(&self, task: String) {
        self.pages().pictures.push(task);
    }

    /// All pictures, the newest last.
    pub(crate) fn pictures(&self) -> Vec<String> {
        self.pages().pictures.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.pages().pictures.len()
    }

    /// Somebody begins with a job of the queue.
    pub(crate) fn begin_job(&self, task: &str) -> AtWork<'_> {
        self.begin(task, "is a job of two", |pages| &mut pages.jobs_at_work)
    }

    /// Somebody begins to make a picture's thumbnails.
    pub(crate) fn begin_making(&self, task: &str) -> AtWork<'_> {
        self.begin(task, "is being made by two", |pages| &mut pages.being_made)
    }

    fn begin(&self, task: &str, otherwise: &str, which: fn(&mut Pages) -> &mut HashSet<String>) -> AtWork<'_> {
        let mut pages = self.pages();
        if !which(&mut pages).insert(task.to_owned()) {
            pages.offences.push(format!("{task} {otherwise}"));
        }
        AtWork(self, task.to_owned(), which)
    }

    pub(crate) fn done(&self, task: &str) {
        *self.pages().done.entry(task.to_owned()).or_default() += 1;
    }

    pub(crate) fn made(&self, task: &str) {
        let mut pages = self.pages();
        if !pages.made.insert(task.to_owned()) {
            pages.made_again += 1;
        }
    }

    pub(crate) fn is_made(&self, task: &str) -> bool {
        self.pages().made.contains(task)
    }

    /// Jobs that were done, and how many of them once more than once.
    pub(crate) fn jobs(&self) -> (usize, usize) {
        let pages = self.pages();
        (pages.done.len(), pages.done.values().map(|times| times - 1).sum())
    }

    /// Nothing is lost, nothing was done by two at once, and aside is what cannot be done, alone.
    pub(crate) async fn check(&self, state: &State, deaths: usize) {
        let standing = state.measure_queue(QUEUE).await.unwrap();
        let aside = state.jobs_aside(QUEUE, None, 1000).await.unwrap();
        let aside: BTreeSet<String> = aside.into_iter().map(|job| job.task).collect();
        let (_, repeated) = self.jobs();
        let pages = self.pages();
        let bad: BTreeSet<String> = pages.pictures.iter().filter(|task| !task.starts_with("fine")).cloned().collect();

        assert_eq!(pages.offences, Vec::<String>::new());
        assert_eq!((standing.length, aside), (0, bad.clone()));
        let undone: Vec<&String> = pages.pictures.iter().filter(|task| !pages.done.contains_key(*task)).collect();
        assert_eq!(undone.into_iter().cloned().collect::<BTreeSet<_>>(), bad, "all that is fine is done");
        assert!(repeated <= deaths, "{repeated} were done again after {deaths} deaths");
        assert_eq!(pages.made_again, 0, "nobody makes what is there");
    }
}
