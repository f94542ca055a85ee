//! Who listens to what within this process: one channel per topic, for as long as anyone
//! listens. Both back ends deliver through it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

use crate::Subscription;

/// Messages that a slow listener may be behind before it is told that it lost some.
const BACKLOG: usize = 64;

/// Told when nobody listens to a topic any more.
type Left = Box<dyn Fn(&str) + Send + Sync>;

/// The topics that are listened to. `None` in a channel means "messages may have been lost".
pub(crate) struct Topics {
    channels: Mutex<HashMap<String, broadcast::Sender<Option<String>>>>,
    left: Left,
}

impl Topics {
    /// No topics; `left` is called with each topic that loses its last listener. It is called
    /// under our mutex: it must not block, nor call us.
    pub(crate) fn new(left: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { channels: Mutex::default(), left: Box::new(left) })
    }

    /// Listens to a topic from now on.
    pub(crate) fn join(self: &Arc<Self>, topic: &str) -> Subscription {
        let receiver =
            self.channels().entry(topic.to_owned()).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe();
        Subscription::new(receiver, Membership { topics: Arc::clone(self), topic: topic.to_owned() })
    }

    /// Gives a message to all who listen to `topic` in this process.
    pub(crate) fn deliver(&self, topic: &str, message: &str) {
        if let Some(channel) = self.channels().get(topic) {
            // An error means that the last listener is leaving this moment.
            let _ = channel.send(Some(message.to_owned()));
        }
    }

    /// Tells every listener that messages may have been lost.
    pub(crate) fn deliver_loss(&self) {
        for channel in self.channels().values() {
            let _ = channel.send(None);
        }
    }

    /// Whether anyone listens to a topic.
    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        self.channels().contains_key(topic)
    }

    /// All topics that are listened to.
    pub(crate) fn wanted(&self) -> Vec<String> {
        self.channels().keys().cloned().collect()
    }

    fn leave(&self, topic: &str) {
        let mut channels = self.channels();
        if channels.get(topic).is_some_and(|channel| channel.receiver_count() == 0) {
            channels.remove(topic);
            (self.left)(topic);
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Option<String>>>> {
        // Each critical section is one step on the map: a panic leaves nothing half done.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Being one of those who listen to a topic; ends when dropped.
pub(crate) struct Membership {
    topics: Arc<Topics>,
    topic: String,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.topics.leave(&self.topic);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Membership").field(&self.topic).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_lives_until_its_last_listener_leaves() {
        let gone = Arc::new(Mutex::new(Vec::new()));
        let topics = Topics::new({
            let gone = Arc::clone(&gone);
            move |topic| gone.lock().unwrap().push(topic.to_owned())
        });
        let first = topics.join("a");
        let second = topics.join("a");

        drop(first);
        assert!(topics.is_wanted("a"));
        assert!(gone.lock().unwrap().is_empty());

        drop(second);
        assert!(!topics.is_wanted("a"));
        assert_eq!(*gone.lock().unwrap(), ["a"]);
    }

    #[tokio::test]
    async fn a_slow_listener_learns_that_it_lost_messages() {
        let topics = Topics::new(|_| ());
        let mut slow = topics.join("a");

        for n in 0..=BACKLOG {
            topics.deliver("a", &n.to_string());
        }

        assert_eq!(slow.next().await, None);
        assert_eq!(slow.next().await.as_deref(), Some("1"));
    }
}
