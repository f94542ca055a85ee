//! Why shared state could not be reached.

/// The back end did not answer, or answered nonsense.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{context}: {reason}")]
pub struct StateError {
    /// What we were doing, and where.
    pub context: String,
    /// What the back end said.
    pub reason: String,
}
