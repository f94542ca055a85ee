//! Waking others: fire and forget, to every instance.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{StateError, topics::Membership};

/// Sends a word to all who listen to a topic, in every instance.
#[async_trait]
pub trait Signals: Send + Sync + 'static {
    /// Sends to all who listen now, and perhaps to who begins to within a moment. Nobody listening
    /// is no error.
    async fn publish(&self, topic: &str, message: &str) -> Result<(), StateError>;

    /// Listens from now on: what is published after this returns is received.
    async fn subscribe(&self, topic: &str) -> Result<Subscription, StateError>;
}

/// Listens to one topic until dropped. All subscriptions of a process to a topic share one
/// registration with the back end.
#[derive(Debug)]
pub struct Subscription {
    // Dropped before the membership, which looks whether any receiver is left.
    receiver: broadcast::Receiver<Option<String>>,
    _membership: Membership,
}

impl Subscription {
    /// A subscription to what is sent into `receiver`'s channel.
    pub(crate) const fn new(receiver: broadcast::Receiver<Option<String>>, membership: Membership) -> Self {
        Self { receiver, _membership: membership }
    }

    /// The next message. `None` if messages may have been lost (the connection broke, or we
    /// were too slow): look at the truth again, and go on listening. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        match self.receiver.recv().await {
            Ok(message) => message,
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            // The back end is gone: wait for ever rather than spin; callers have deadlines.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
