//! What the clients were told, and so what must be there.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex},
};

use super::content::{Content, Digest};

/// A medium whose upload was acknowledged.
#[derive(Debug)]
pub(super) struct Medium {
    /// `server/media_id`.
    pub(super) id: String,
    pub(super) digest: Digest,
    pub(super) is_picture: bool,
}

#[derive(Debug, Default)]
struct State {
    kept: Vec<Arc<Medium>>,
    /// Of those, since the last verification.
    fresh: Vec<Arc<Medium>>,
    /// Every id with an acknowledged upload, also of what is deleted.
    acknowledged: HashSet<String>,
    /// What was sent to ids that were created.
    attempts: HashMap<String, Vec<Digest>>,
    /// What was sent under no id, and not acknowledged: it may be there under an id that nobody was told.
    unanswered: HashSet<Digest>,
    /// What was deleted since the last verification.
    deleted: Vec<String>,
    verdict: Verdict,
}

/// What must never happen, and did.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Somebody has seen what he must not see.
    pub(super) wrong: Vec<String>,
    /// Something that was acknowledged is missing.
    pub(super) lost: Vec<String>,
}

/// The memory of all clients.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<State>);

impl Ledger {
    /// An upload was acknowledged.
    pub(super) fn acknowledged(&self, id: &str, content: &Content) {
        let mut state = self.0.lock().unwrap();
        if !state.acknowledged.insert(id.to_owned()) {
            state.verdict.wrong.push(format!("{id}: two uploads were acknowledged"));
        }
        let medium = Arc::new(Medium { id: id.to_owned(), digest: content.digest, is_picture: content.is_picture });
        state.fresh.push(Arc::clone(&medium));
        state.kept.push(medium);
    }

    /// An upload under no id was not acknowledged.
    pub(super) fn unanswered(&self, content: &Content) {
        self.0.lock().unwrap().unanswered.insert(content.digest);
    }

    /// Content is about to be sent to an id that was created.
    pub(super) fn attempt(&self, id: &str, content: &Content) {
        self.0.lock().unwrap().attempts.entry(id.to_owned()).or_default().push(content.digest);
    }

    /// A medium that is about to be deleted: there may be nothing under this id, or what was uploaded.
    pub(super) fn expect_nothing_of(&self, id: &str) {
        self.0.lock().unwrap().acknowledged.insert(id.to_owned());
    }

    /// A deletion was acknowledged.
    pub(super) fn deleted(&self, id: &str) {
        self.0.lock().unwrap().deleted.push(id.to_owned());
    }

    /// Bytes, or their absence, that nobody may ever see.
    pub(super) fn wrong(&self, what: String) {
        self.0.lock().unwrap().verdict.wrong.push(what);
    }

    /// Something that was acknowledged is missing.
    pub(super) fn lost(&self, what: String) {
        self.0.lock().unwrap().verdict.lost.push(what);
    }

    /// What was wrong or lost since the last call.
    pub(super) fn take_verdict(&self) -> Verdict {
        mem::take(&mut self.0.lock().unwrap().verdict)
    }

    /// One of those that were acknowledged, mostly a recent one.
    pub(super) fn any(&self, is_wanted: impl Fn(&Medium) -> bool) -> Option<Arc<Medium>> {
        const RECENT: usize = 50;
        let state = self.0.lock().unwrap();
        let from = if rand::random() { state.kept.len().saturating_sub(RECENT) } else { 0 };
        let candidates: Vec<_> = state.kept[from..].iter().filter(|medium| is_wanted(medium)).collect();
        (!candidates.is_empty()).then(|| Arc::clone(candidates[rand::random_range(0..candidates.len())]))
    }

    /// All that was acknowledged since the last call, and as many of the others.
    pub(super) fn take_fresh(&self, others: usize) -> Vec<Arc<Medium>> {
        let mut state = self.0.lock().unwrap();
        let mut media = mem::take(&mut state.fresh);
        let older = state.kept.len() - media.len();
        for _ in 0..others.min(older) {
            media.push(Arc::clone(&state.kept[rand::random_range(0..older)]));
        }
        media
    }

    /// All that was acknowledged and not deleted.
    pub(super) fn kept(&self) -> Vec<Arc<Medium>> {
        self.0.lock().unwrap().kept.clone()
    }

    /// What was deleted since the last call.
    pub(super) fn take_deleted(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap().deleted)
    }

    /// Ids that were created and tried to fill without an acknowledgement, and what was sent to each.
    pub(super) fn unfilled(&self) -> Vec<(String, Vec<Digest>)> {
        let state = self.0.lock().unwrap();
        let is_unfilled = |(id, _): &(&String, &Vec<Digest>)| !state.acknowledged.contains(*id);
        state.attempts.iter().filter(is_unfilled).map(|(id, digests)| (id.clone(), digests.clone())).collect()
    }

    /// Whether some client was told of this id.
    pub(super) fn knows(&self, id: &str) -> bool {
        let state = self.0.lock().unwrap();
        state.acknowledged.contains(id) || state.attempts.contains_key(id)
    }

    /// Whether this was sent under no id and not acknowledged.
    pub(super) fn may_be_there(&self, digest: &Digest) -> bool {
        self.0.lock().unwrap().unanswered.contains(digest)
    }
}
