//! Servers of which each has some of the keys.
//!
//! Not `redis::cluster_async`: measured with one of three masters hanging, it had every command for
//! that one wait for the whole timeout and never went to the replica that took over, and for a
//! second answered nothing that was for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::seq::SliceRandom;
use redis::{Cmd, RedisError, ServerErrorKind, Value, cmd};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    dial::{Address, Dialer},
    held::Held,
    server::{Manner, Server, Way},
    slots::{Map, Target, read_redirect},
    trouble::{Deadline, Trouble},
};

/// How often one command may be sent elsewhere. Twice is usual while slots move.
const MOST_HOPS: usize = 8;

/// The pause before a command that met a slot in the middle of its move is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The shortest time between two looks at who has which slots.
const RENEW_EVERY: Duration = Duration::from_millis(200);

/// How many servers are asked at once who has which slots.
const ASKED_AT_ONCE: usize = 3;

/// The cluster.
pub(super) struct Cluster {
    seeds: Vec<Address>,
    dialer: Arc<Dialer>,
    map: Held<Arc<Map>>,
    doubt: Mutex<Doubt>,
    servers: Mutex<HashMap<Address, Arc<Server>>>,
    changes: watch::Sender<u64>,
}

/// Whether the map is still right.
#[derive(Default)]
struct Doubt {
    is_there: bool,
    looked_at: Option<Instant>,
}

/// What to do after an answer that is none.
enum Next {
    /// The slot has another owner.
    Move(Address),
    /// The key may be there already, and the slot will be.
    Ask(Address),
    Wait,
    /// The server is gone: perhaps another has taken its place.
    Replace,
    GiveUp,
}

impl Cluster {
    /// `changes` counts when other servers are masters.
    pub(super) fn new(seeds: Vec<Address>, dialer: Arc<Dialer>, changes: watch::Sender<u64>) -> Self {
        Self { seeds, dialer, map: Held::new(), doubt: Mutex::default(), servers: Mutex::default(), changes }
    }

    /// Sends a command to whoever has its key.
    pub(super) async fn send(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        deadline
            .bound(async {
                match Target::of(command) {
                    Target::Slot(slot) => self.send_to_owner(slot, command, deadline).await,
                    Target::Any(slot) => self.send_to_any(slot, command, deadline).await,
                }
            })
            .await
            .flatten()
            .inspect_err(|trouble| {
                if trouble.breaks_connection() {
                    self.doubt_map();
                }
            })
    }

    async fn send_to_owner(&self, slot: u16, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        let mut address = self.find_owner(slot, deadline).await?;
        let mut manner = Manner::Plain;
        let mut last = Trouble::Closed;
        for _ in 0..MOST_HOPS {
            last = match self.server(&address).send(command, manner, deadline).await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            let next = next_after(&last, &address);
            if !matches!(next, Next::GiveUp | Next::Ask(_)) {
                self.doubt_map();
            }
            manner = if matches!(next, Next::Ask(_)) { Manner::Asking } else { Manner::Plain };
            match next {
                Next::Move(to) | Next::Ask(to) => address = to,
                Next::Wait => sleep(TRY_AGAIN_AFTER).await,
                Next::Replace => {
                    let owner = self.find_owner(slot, deadline).await?;
                    if owner == address {
                        return Err(last);
                    }
                    address = owner;
                }
                Next::GiveUp => return Err(last),
            }
        }
        Err(last)
    }

    /// To the owner of the slot if it can be had, else to another master.
    async fn send_to_any(&self, slot: u16, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        let map = self.current_map(deadline).await?;
        let mut masters: Vec<&Address> = map.masters().into_iter().collect();
        let first = map.owner(slot).and_then(|owner| masters.iter().position(|master| *master == owner));
        masters.rotate_left(first.unwrap_or(0));
        // Stable: those that can be had first, else in their order.
        masters.sort_by_key(|master| self.server(master).is_down());
        let mut last = Trouble::Closed;
        for master in masters {
            match self.server(master).send(command, Manner::Plain, deadline).await {
                Ok(value) => return Ok(value),
                Err(trouble) if matches!(next_after(&trouble, master), Next::Replace) => last = trouble,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last)
    }

    /// Whether every master answers, and every slot has one.
    pub(super) async fn ping(&self, deadline: Deadline) -> Result<(), Trouble> {
        let map = self.current_map(deadline).await?;
        let ping = cmd("PING");
        let each = map.masters().into_iter().map(|master| self.ask(master, &ping, deadline));
        if let Err(trouble) = futures_util::future::try_join_all(each).await {
            self.doubt_map();
            return Err(trouble);
        }
        match map.uncovered() {
            0 => Ok(()),
            uncovered => {
                self.doubt_map();
                Err(Trouble::Unfit(format!("no server has {uncovered} of the slots")))
            }
        }
    }

    /// One question to one server.
    pub(super) async fn ask(&self, server: &Address, question: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        let answer = self.server(server).send(question, Manner::Plain, deadline).await;
        answer.map_err(|trouble| Trouble::Unfit(format!("{server}: {trouble}")))
    }

    /// A master to listen at: what is published anywhere reaches all servers.
    pub(super) async fn find_listening_post(&self) -> Result<Address, Trouble> {
        // Whoever comes here may have lost one.
        self.doubt_map();
        let map = self.current_map(Deadline::after(self.dialer.timeout())).await?;
        let mut masters: Vec<&Address> = map.masters().into_iter().collect();
        masters.shuffle(&mut rand::rng());
        masters.sort_by_key(|master| self.server(master).is_down());
        masters.first().map(|master| (*master).clone()).ok_or(Trouble::Closed)
    }

    async fn find_owner(&self, slot: u16, deadline: Deadline) -> Result<Address, Trouble> {
        let owner = self.current_map(deadline).await?.owner(slot).cloned();
        owner.ok_or_else(|| {
            self.doubt_map();
            Trouble::Unfit(format!("no server has the slot {slot}"))
        })
    }

    /// Who has which slots. Looks again first if there is doubt, but not too often, and one caller
    /// at a time: the others go by what was known.
    pub(super) async fn current_map(&self, deadline: Deadline) -> Result<Arc<Map>, Trouble> {
        let Some(known) = self.map.find() else {
            return Ok(self.map.get(deadline, || Box::pin(self.load_map(None, deadline))).await?.1);
        };
        if self.is_look_due() {
            // If nobody tells, what was known has to do.
            let _ = self.map.renew(deadline, || Box::pin(self.load_map(Some(&known), deadline))).await;
        }
        Ok(self.map.find().unwrap_or(known))
    }

    /// Marks the look as done only when it is: whoever has no time left for it has not looked.
    async fn load_map(&self, known: Option<&Map>, deadline: Deadline) -> Result<Arc<Map>, Trouble> {
        let outcome = self.find_map(known, deadline).await;
        *self.doubt() = Doubt { is_there: outcome.is_err(), looked_at: Some(Instant::now()) };
        outcome
    }

    /// Asks some of those we know, and those of the settings if none of them answers.
    async fn find_map(&self, known: Option<&Map>, deadline: Deadline) -> Result<Arc<Map>, Trouble> {
        let mut servers: Vec<Address> = known
            .iter()
            .flat_map(|map| map.servers())
            .filter(|server| !self.server(server).is_down())
            .cloned()
            .collect();
        servers.shuffle(&mut rand::rng());
        servers.truncate(ASKED_AT_ONCE);
        let map = match self.first_map(&servers, deadline).await {
            Ok(map) => map,
            Err(_) => self.first_map(&self.seeds, deadline).await?,
        };
        let map = Arc::new(map);
        self.servers().retain(|address, _| map.servers().contains(address));
        if known.is_some_and(|known| known.masters() != map.masters()) {
            tracing::info!(masters = map.masters().len(), "the Redis cluster has other masters");
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(map)
    }

    /// Of several that are asked at once, the first that can tell.
    async fn first_map(&self, servers: &[Address], deadline: Deadline) -> Result<Map, Trouble> {
        let mut question = cmd("CLUSTER");
        question.arg("SLOTS");
        let question = &question;
        let mut answers: FuturesUnordered<_> = servers
            .iter()
            .map(|server| async move {
                let answer = self.server(server).send(question, Manner::Plain, deadline).await?;
                Map::read(&answer, server)
                    .ok_or_else(|| Trouble::Unfit(format!("{server} does not know who has which slots")))
            })
            .collect();
        let mut last = Trouble::Closed;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(map) => return Ok(map),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    fn server(&self, address: &Address) -> Arc<Server> {
        let mut servers = self.servers();
        if let Some(server) = servers.get(address) {
            return Arc::clone(server);
        }
        let server = Arc::new(Server::new(Way::To(address.clone(), Arc::clone(&self.dialer))));
        servers.insert(address.clone(), Arc::clone(&server));
        server
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<Address, Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubt_map(&self) {
        self.doubt().is_there = true;
    }

    fn is_look_due(&self) -> bool {
        let doubt = self.doubt();
        doubt.is_there && doubt.looked_at.is_none_or(|at| at.elapsed() >= RENEW_EVERY)
    }

    fn doubt(&self) -> MutexGuard<'_, Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_after(trouble: &Trouble, asked: &Address) -> Next {
    let redirect = |error: &RedisError| error.redirect_node().and_then(|(place, _)| read_redirect(place, asked));
    match trouble {
        Trouble::Redis(error) if trouble.is(ServerErrorKind::Moved) => redirect(error).map_or(Next::GiveUp, Next::Move),
        Trouble::Redis(error) if trouble.is(ServerErrorKind::Ask) => redirect(error).map_or(Next::GiveUp, Next::Ask),
        _ if trouble.is(ServerErrorKind::TryAgain) => Next::Wait,
        _ if trouble.is(ServerErrorKind::ClusterDown) || trouble.is(ServerErrorKind::MasterDown) => Next::Replace,
        // There is no time left to ask anybody else.
        Trouble::NoAnswer(_) => Next::GiveUp,
        _ if trouble.breaks_connection() || trouble.is(ServerErrorKind::BusyLoading) => Next::Replace,
        _ => Next::GiveUp,
    }
}
