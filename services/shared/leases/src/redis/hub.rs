//! Signals through Redis: one connection that listens to every topic anyone here listens to; in a
//! cluster to any server, since each passes on to all what is published at one.
//!
//! Owns:  the listening connection, and what it is subscribed to.
//! Lives: from start to shutdown, in one tracked task; connects again by itself.
//! Load:  one channel per topic that is listened to, two requests at most per subscription.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use redis::{Msg, aio::PubSubSink};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{dial::Life, link::Link, trouble::Trouble};
use crate::{StateError, Subscription, measure::measured, topics::Topics};

/// How long the connection may be silent before we ask whether the server is still there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The pause after the first failed attempt to connect, and the longest one.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Requests that are taken together, and so cost one round trip.
const BATCH: usize = 256;

/// Listens for all of this process.
pub(super) struct Hub {
    link: Arc<Link>,
    channels: String,
    topics: Arc<Topics>,
    requests: mpsc::UnboundedSender<Request>,
}

/// What the task is asked for.
enum Request {
    /// Be subscribed to a topic, then say so.
    Join(String, oneshot::Sender<Result<(), Trouble>>),
    /// Nobody listens to a topic any more, unless somebody does again.
    Left(String),
}

impl Hub {
    /// Starts the task. Channels are named `channels` and the topic.
    pub(super) fn start(link: Arc<Link>, channels: String, life: &Life) -> Self {
        // Unbounded, since dropping a subscription cannot wait; but each subscription has at
        // most two requests in it, and subscribing waits for the answer.
        let (requests, inbox) = mpsc::unbounded_channel();
        let left = requests.clone();
        let topics = Topics::new(move |topic| {
            // An error means that the task has ended, and its subscriptions with it.
            let _ = left.send(Request::Left(topic.to_owned()));
        });
        let changes = link.changes();
        let (link_of_task, topics_of_task) = (Arc::clone(&link), Arc::clone(&topics));
        let listener =
            Listener { link: link_of_task, changes, channels: channels.clone(), topics: topics_of_task, inbox };
        let shutdown = life.shutdown.clone();
        life.tasks.spawn(async move { shutdown.run_until_cancelled(listener.run()).await });
        Self { link, channels, topics, requests }
    }

    /// The channel of a topic.
    pub(super) fn channel(&self, topic: &str) -> String {
        format!("{}{topic}", self.channels)
    }

    /// Returns when Redis has confirmed that we listen.
    pub(super) async fn subscribe(&self, topic: &str) -> Result<Subscription, StateError> {
        measured("redis", "subscribe", async {
            // Before Redis confirms, so that nothing is missed between the two.
            let subscription = self.topics.join(topic);
            match timeout(self.link.timeout(), self.confirm(topic)).await {
                Ok(Some(Ok(()))) => Ok(subscription),
                Ok(Some(Err(trouble))) => Err(self.link.error("subscribe", trouble)),
                Ok(None) => Err(self.link.error("subscribe", "we are shutting down")),
                Err(_) => Err(self.link.error("subscribe", Trouble::NoAnswer(self.link.timeout()))),
            }
        })
        .await
    }

    /// `None` if the task has ended.
    async fn confirm(&self, topic: &str) -> Option<Result<(), Trouble>> {
        let (confirmed, confirmation) = oneshot::channel();
        self.requests.send(Request::Join(topic.to_owned(), confirmed)).ok()?;
        confirmation.await.ok()
    }
}

/// The task's state.
struct Listener {
    link: Arc<Link>,
    changes: watch::Receiver<u64>,
    channels: String,
    topics: Arc<Topics>,
    inbox: mpsc::UnboundedReceiver<Request>,
}

/// One connection, and the topics that Redis has confirmed on it.
struct Line {
    sink: PubSubSink,
    confirmed: HashSet<String>,
    timeout: Duration,
}

impl Listener {
    async fn run(mut self) {
        let mut pause = RETRY_AFTER.0;
        let mut is_first = true;
        loop {
            let begun = Instant::now();
            let trouble = self.connect_and_listen(is_first).await;
            is_first = false;
            // A server that takes us and drops us at once is no better than one that is down.
            if begun.elapsed() > RETRY_AFTER.1 {
                pause = RETRY_AFTER.0;
            }
            self.refuse(&trouble, pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(RETRY_AFTER.1);
        }
    }

    /// Returns why there is no connection, or no more.
    async fn connect_and_listen(&mut self, is_first: bool) -> Trouble {
        let (line, messages) = match self.connect().await {
            Ok(connected) => connected,
            Err(trouble) => {
                tracing::debug!(error = %self.link.error("listen to signals", &trouble), "will try again");
                return trouble;
            }
        };
        if !is_first {
            tracing::info!("listening to signals again");
            // Only now: whoever looks at the truth from here on misses nothing.
            self.topics.deliver_loss();
        }
        let trouble = self.listen(line, messages).await;
        tracing::warn!(error = %self.link.error("listen to signals", &trouble), "will connect again");
        trouble
    }

    /// A connection that is subscribed to everything that is listened to.
    async fn connect(&mut self) -> Result<(Line, impl Stream<Item = Msg> + Unpin + use<>), Trouble> {
        // What changes from here on, we may have connected to what was before.
        self.changes.mark_unchanged();
        let (sink, messages) = self.link.open_pubsub().await?.split();
        let mut line = Line { sink, confirmed: HashSet::new(), timeout: self.link.timeout() };
        for topics in self.topics.wanted().chunks(BATCH) {
            line.subscribe(&self.channels, topics.to_vec()).await?;
        }
        Ok((line, messages))
    }

    /// Delivers messages and serves requests until the connection breaks.
    async fn listen(&mut self, mut line: Line, mut messages: impl Stream<Item = Msg> + Unpin) -> Trouble {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            let step = tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.deliver(&message),
                    None => ControlFlow::Break(Trouble::Closed),
                },
                _ = self.inbox.recv_many(&mut batch, BATCH) => self.serve(&mut line, batch.drain(..)).await,
                _ = ping.tick() => line.ping().await,
                Ok(()) = self.changes.changed() => ControlFlow::Break(Trouble::Unfit("Redis has another master".to_owned())),
            };
            if let ControlFlow::Break(trouble) = step {
                return trouble;
            }
        }
    }

    fn deliver(&self, message: &Msg) -> ControlFlow<Trouble> {
        if let Some(topic) = message.get_channel_name().strip_prefix(&self.channels) {
            self.topics.deliver(topic, &String::from_utf8_lossy(message.get_payload_bytes()));
        }
        ControlFlow::Continue(())
    }

    /// Serves requests in two commands at most. What is wanted decides, not the order of requests:
    /// a topic may be left and joined again before we come to it.
    async fn serve(&self, line: &mut Line, requests: impl Iterator<Item = Request>) -> ControlFlow<Trouble> {
        let (mut joins, mut left) = (HashMap::<_, Vec<_>>::new(), HashSet::new());
        for request in requests {
            match request {
                Request::Join(topic, confirm) => joins.entry(topic).or_default().push(confirm),
                Request::Left(topic) => drop(left.insert(topic)),
            }
        }
        let missing = joins.keys().filter(|topic| !line.confirmed.contains(*topic)).cloned().collect();
        let joined = line.subscribe(&self.channels, missing).await;
        for confirm in joins.into_values().flatten() {
            // An error means that the caller has stopped waiting.
            let _ = confirm.send(joined.clone());
        }
        left.retain(|topic| line.confirmed.contains(topic) && !self.topics.is_wanted(topic));
        let outcome = match joined {
            Ok(()) => line.unsubscribe(&self.channels, left).await,
            Err(trouble) => Err(trouble),
        };
        outcome.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    /// Refuses requests for a while, so that nobody waits for a server that is not there.
    async fn refuse(&mut self, trouble: &Trouble, pause: Duration) {
        let until = sleep_until(Instant::now() + pause);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => break,
                Some(request) = self.inbox.recv() => refuse(request, trouble),
            }
        }
        while let Ok(request) = self.inbox.try_recv() {
            refuse(request, trouble);
        }
    }
}

fn refuse(request: Request, trouble: &Trouble) {
    // Leaving needs no answer: the next connection subscribes only to what is wanted then.
    if let Request::Join(_, confirm) = request {
        let _ = confirm.send(Err(trouble.clone()));
    }
}

impl Line {
    async fn subscribe(&mut self, channels: &str, topics: Vec<String>) -> Result<(), Trouble> {
        if topics.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = topics.iter().map(|topic| format!("{channels}{topic}")).collect();
        within(self.timeout, self.sink.subscribe(names)).await?;
        self.confirmed.extend(topics);
        Ok(())
    }

    async fn unsubscribe(&mut self, channels: &str, topics: HashSet<String>) -> Result<(), Trouble> {
        if topics.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = topics.iter().map(|topic| format!("{channels}{topic}")).collect();
        within(self.timeout, self.sink.unsubscribe(names)).await?;
        self.confirmed.retain(|topic| !topics.contains(topic));
        Ok(())
    }

    /// Finds out about a peer that vanished without a word.
    async fn ping(&mut self) -> ControlFlow<Trouble> {
        let answer = within(self.timeout, self.sink.ping::<redis::Value>()).await;
        answer.map_or_else(ControlFlow::Break, |_| ControlFlow::Continue(()))
    }
}

async fn within<T>(span: Duration, work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, Trouble> {
    Ok(timeout(span, work).await.map_err(|_| Trouble::NoAnswer(span))??)
}
