//! Sorted sets that are derived from the bucket and can be rebuilt from it.

use async_trait::async_trait;

use crate::StateError;

/// The index of marks that say what is complete, such as the ledgers: it is emptied when changes that
/// nobody waited for were lost. Whoever finds no mark makes anew what it stands for.
pub const MARKS: &str = "ledgers";

/// One member of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// What is listed; at most once per index.
    pub member: String,
    /// What it is sorted by: a time in ms, or a size.
    pub score: u64,
}

/// Keeps indexes, shared by all instances. The embedded back end keeps them in a file, and writes what
/// has no answer a little after it was acknowledged: whoever asks later hears of it, and only a crash can
/// cost it, with the rest of the last seconds.
#[async_trait]
pub trait Indexes: Send + Sync + 'static {
    /// Lists a member, or moves it to another score.
    async fn insert(&self, index: &str, member: &str, score: u64) -> Result<(), StateError>;

    /// Lists a member unless `most` others with a score of at least `live_from` are there;
    /// says whether it did. Members below `live_from` are removed on the way. One atomic
    /// step: concurrent callers never exceed `most`.
    async fn insert_within(
        &self,
        index: &str,
        member: &str,
        score: u64,
        live_from: u64,
        most: u64,
    ) -> Result<bool, StateError>;

    /// Removes a member; one that is not there is no error.
    async fn remove(&self, index: &str, member: &str) -> Result<(), StateError>;

    /// The members with a score of at most `up_to`, lowest first, at most `limit`.
    async fn range(&self, index: &str, up_to: u64, limit: usize) -> Result<Vec<IndexEntry>, StateError>;
}
