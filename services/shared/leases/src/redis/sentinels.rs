//! Who is the master, as sentinels say.
//!
//! Not `redis::sentinel`: that one asks the sentinels in their order, so that a first one that
//! hangs hides what the others know.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{Msg, Value, aio::ConnectionLike, cmd, from_redis_value};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    dial::{Address, Connection, Dialer, Life},
    server::Server,
    trouble::{Deadline, Trouble},
};

/// How long a sentinel may be silent before we ask whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The pause before a sentinel that was lost is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a sentinel says when a service has a new master.
const SWITCH: &str = "+switch-master";

/// The sentinels of one service.
pub(super) struct Sentinels {
    addresses: Vec<Address>,
    service: String,
    dialer: Dialer,
    to_servers: Arc<Dialer>,
}

/// A master, as one sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Grows with each failover.
    epoch: u64,
    pub(super) master: Address,
    pub(super) is_down: bool,
}

impl Sentinels {
    pub(super) const fn new(addresses: Vec<Address>, service: String, dialer: Dialer, to_servers: Arc<Dialer>) -> Self {
        Self { addresses, service, dialer, to_servers }
    }

    /// A connection to the master, which says itself that it is one.
    pub(super) async fn open_master(&self, deadline: Deadline) -> Result<Connection, Trouble> {
        let master = self.find_master(deadline).await?;
        let mut connection = self.to_servers.open(&master).await?;
        let role = connection.commands.req_packed_command(&cmd("ROLE")).await?.extract_error()?;
        let words: Vec<Value> = from_redis_value(role).map_err(|error| Trouble::Redis(error.into()))?;
        match words.into_iter().next() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(Trouble::Unfit(format!("{master} is not the master yet, or no more"))),
        }
    }

    /// Asks all at once. Most of them have to answer, or all that do in half of the time: of what
    /// they say the newest counts, so that one that was cut off leads nobody astray.
    pub(super) async fn find_master(&self, deadline: Deadline) -> Result<Address, Trouble> {
        let majority = self.addresses.len() / 2 + 1;
        let mut answers: FuturesUnordered<_> = self.addresses.iter().map(|sentinel| self.ask(sentinel)).collect();
        let patience = sleep_until(deadline.half());
        tokio::pin!(patience);
        let (mut heard, mut trouble) = (Vec::new(), None);
        while heard.len() < majority {
            tokio::select! {
                answer = answers.next() => match answer {
                    Some(Ok(named)) => heard.push(named),
                    Some(Err(error)) => trouble = Some(error),
                    None => break,
                },
                () = &mut patience, if !heard.is_empty() => break,
            }
        }
        let Some(newest) = heard.into_iter().max_by_key(|named| named.epoch) else {
            return Err(trouble.unwrap_or(Trouble::Closed));
        };
        if newest.is_down {
            return Err(Trouble::Unfit(format!("the sentinels say that {} is down", newest.master)));
        }
        Ok(newest.master)
    }

    /// What each sentinel says.
    pub(super) async fn survey(&self, deadline: Deadline) -> Vec<(Address, Result<Named, Trouble>)> {
        let each = self
            .addresses
            .iter()
            .map(|sentinel| async { (sentinel.clone(), deadline.bound(self.ask(sentinel)).await.flatten()) });
        futures_util::future::join_all(each).await
    }

    async fn ask(&self, sentinel: &Address) -> Result<Named, Trouble> {
        let mut connection = self.dialer.open(sentinel).await?;
        let mut question = cmd("SENTINEL");
        question.arg("MASTER").arg(&self.service);
        let answer = connection.commands.req_packed_command(&question).await?.extract_error()?;
        let facts: HashMap<String, String> = from_redis_value(answer).map_err(|error| Trouble::Redis(error.into()))?;
        read_named(&facts).ok_or_else(|| Trouble::Unfit(format!("{sentinel} does not say who the master is")))
    }

    /// Listens to every sentinel from now on, so that a failover is known at once: `server` leaves
    /// a master that is none any more, and `changes` counts.
    pub(super) fn watch(self: &Arc<Self>, server: &Arc<Server>, changes: &watch::Sender<u64>, life: &Life) {
        for sentinel in self.addresses.clone() {
            let watcher = Watcher {
                sentinels: Arc::clone(self),
                sentinel,
                server: Arc::downgrade(server),
                changes: changes.clone(),
            };
            let shutdown = life.shutdown.clone();
            life.tasks.spawn(async move { shutdown.run_until_cancelled(watcher.run()).await });
        }
    }
}

fn read_named(facts: &HashMap<String, String>) -> Option<Named> {
    let master = Address::Tcp(facts.get("ip")?.clone(), facts.get("port")?.parse().ok()?);
    let flags = facts.get("flags").map_or("", String::as_str);
    let is_down = flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down"));
    Some(Named { epoch: facts.get("config-epoch")?.parse().ok()?, master, is_down })
}

/// Listens to one sentinel.
struct Watcher {
    sentinels: Arc<Sentinels>,
    sentinel: Address,
    server: Weak<Server>,
    changes: watch::Sender<u64>,
}

impl Watcher {
    async fn run(self) {
        while self.server.strong_count() > 0 {
            if let Err(trouble) = self.listen().await {
                tracing::debug!(sentinel = %self.sentinel, %trouble, "a sentinel was lost, will try again");
            }
            sleep(RETRY_AFTER.mul_f64(rand::random_range(0.5..1.0))).await;
        }
    }

    async fn listen(&self) -> Result<(), Trouble> {
        let dialer = &self.sentinels.dialer;
        let soon = || Deadline::after(dialer.timeout());
        let (mut sink, mut messages) = dialer.open_pubsub(&self.sentinel).await?.split();
        soon().bound(sink.subscribe(SWITCH)).await??;
        // What happened before we listened.
        let named = soon().bound(self.sentinels.ask(&self.sentinel)).await.flatten()?;
        self.is_master(&named.master);
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => self.hear(&message.ok_or(Trouble::Closed)?),
                _ = ping.tick() => drop(soon().bound(sink.ping::<Value>()).await??),
            }
        }
    }

    fn hear(&self, message: &Msg) {
        let text = String::from_utf8_lossy(message.get_payload_bytes());
        if let Some(master) = read_switch(&text, &self.sentinels.service) {
            self.is_master(&master);
        }
    }

    fn is_master(&self, master: &Address) {
        let Some(server) = self.server.upgrade() else { return };
        match server.connected_to() {
            Some(now) if now == *master => return,
            Some(now) => {
                tracing::info!(from = %now, to = %master, "Redis has another master");
                server.leave();
            }
            // Whoever asks next finds it at once.
            None if server.is_down() => server.leave(),
            None => return,
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

/// `service old-host old-port new-host new-port`.
fn read_switch(text: &str, service: &str) -> Option<Address> {
    let mut words = text.split(' ');
    let is_ours = words.next() == Some(service);
    let (host, port) = (words.nth(2)?, words.next()?);
    is_ours.then_some(())?;
    Some(Address::Tcp(host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_read_for_our_service_alone() {
        let new = Some(Address::Tcp("10.0.0.2".to_owned(), 6380));

        assert_eq!(read_switch("main 10.0.0.1 6379 10.0.0.2 6380", "main"), new);
        assert_eq!(read_switch("other 10.0.0.1 6379 10.0.0.2 6380", "main"), None);
        assert_eq!(read_switch("main 10.0.0.1", "main"), None);
    }

    #[test]
    fn a_sentinel_says_who_is_the_master_and_whether_it_is_there() {
        let facts = |flags: &str| {
            [("ip", "10.0.0.1"), ("port", "6379"), ("config-epoch", "7"), ("flags", flags)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        };
        let named = |flags| read_named(&facts(flags)).unwrap();

        assert_eq!((named("master").epoch, named("master").is_down), (7, false));
        assert!(named("master,s_down,o_down").is_down);
        assert_eq!(read_named(&HashMap::new()), None);
    }
}
