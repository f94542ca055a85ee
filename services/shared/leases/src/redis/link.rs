//! The way to Redis, whatever its form: every command goes to the server that has its key, and is
//! bounded in time.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, ServerErrorKind, ToRedisArgs, Value, aio::PubSub, cmd, from_redis_value};
use tokio::sync::watch;

use super::{
    cluster::Cluster,
    dial::{Dialer, Life},
    place::{self, Form},
    scripts::Step,
    sentinels::Sentinels,
    server::{Manner, Server, Way},
    slots::slot_of,
    tls,
    trouble::{Deadline, Trouble},
};
use crate::{StateConfig, StateError, measure::measured};

/// A way to Redis.
pub(super) struct Link {
    pub(super) servers: Servers,
    place: String,
    pub(super) is_tls: bool,
    dialer: Arc<Dialer>,
    changes: watch::Sender<u64>,
}

/// Who answers.
pub(super) enum Servers {
    Single(Server, super::dial::Address),
    Master(Arc<Server>, Arc<Sentinels>),
    Cluster(Cluster),
}

impl Link {
    pub(super) fn new(config: &StateConfig, life: &Life) -> Result<Self, StateError> {
        let unusable = |(field, reason): (&str, String)| StateError { context: format!("setting {field}"), reason };
        let place = place::read(config).map_err(unusable)?;
        let tls = if place.is_tls {
            Some(tls::connector(config).map_err(|reason| unusable(("redis_ca_file", reason)))?)
        } else {
            None
        };
        let told = place.to_string();
        let dialer = Arc::new(Dialer::new(place.login, tls.clone(), config.timeout, life.clone()));
        let changes = watch::Sender::new(0);
        let servers = match place.form {
            Form::Single => {
                let address = place
                    .addresses
                    .into_iter()
                    .next()
                    .ok_or_else(|| unusable(("redis_url", "it names no host".to_owned())))?;
                Servers::Single(Server::new(Way::To(address.clone(), Arc::clone(&dialer))), address)
            }
            Form::Sentinel(service) => {
                let login = place::sentinel_login(config).map_err(unusable)?;
                let to_sentinels = Dialer::new(login, tls, config.timeout, life.clone());
                let sentinels = Arc::new(Sentinels::new(place.addresses, service, to_sentinels, Arc::clone(&dialer)));
                let server = Arc::new(Server::new(Way::ToMaster(Arc::clone(&sentinels))));
                sentinels.watch(&server, &changes, life);
                Servers::Master(server, sentinels)
            }
            Form::Cluster => Servers::Cluster(Cluster::new(place.addresses, Arc::clone(&dialer), changes.clone())),
        };
        Ok(Self { servers, place: told, is_tls: place.is_tls, dialer, changes })
    }

    /// The longest that anything may take.
    pub(super) fn timeout(&self) -> Duration {
        self.dialer.timeout()
    }

    /// Counts when other servers are the masters: whoever listens to one listens to the wrong one.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Sends a command and reads the answer.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, StateError> {
        let answer = async { self.read(operation, self.send(command, self.deadline()).await) };
        measured("redis", operation, answer).await
    }

    /// Runs a script over its keys, by its hash if the server that has them knows it.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        operation: &'static str,
        step: &Step,
        keys: &[String],
        arguments: impl ToRedisArgs,
    ) -> Result<T, StateError> {
        debug_assert!(
            keys.windows(2).all(|pair| slot_of(pair[0].as_bytes()) == slot_of(pair[1].as_bytes())),
            "no server of a cluster has all of {keys:?}"
        );
        let by_hash = script_command("EVALSHA", &step.hash, keys, &arguments);
        let by_source = script_command("EVAL", &step.source, keys, &arguments);
        let deadline = self.deadline();
        let answer = async {
            let mut answer = self.send(&by_hash, deadline).await;
            if answer.as_ref().is_err_and(|trouble| trouble.is(ServerErrorKind::NoScript)) {
                answer = self.send(&by_source, deadline).await;
            }
            self.read(operation, answer)
        };
        measured("redis", operation, answer).await
    }

    /// Whether everything that keys may lie on answers.
    pub(super) async fn ping(&self) -> Result<(), StateError> {
        let Servers::Cluster(cluster) = &self.servers else { return self.query("ping", &cmd("PING")).await };
        let answer = async {
            let deadline = self.deadline();
            let answer = deadline.bound(cluster.ping(deadline)).await.flatten();
            answer.map_err(|trouble| self.error("ping", trouble))
        };
        measured("redis", "ping", answer).await
    }

    /// A connection of its own for signals.
    pub(super) async fn open_pubsub(&self) -> Result<PubSub, Trouble> {
        let address = match &self.servers {
            Servers::Single(_, address) => address.clone(),
            Servers::Master(_, sentinels) => {
                let deadline = self.deadline();
                deadline.bound(sentinels.find_master(deadline)).await.flatten()?
            }
            Servers::Cluster(cluster) => cluster.find_listening_post().await?,
        };
        self.dialer.open_pubsub(&address).await
    }

    /// An error that names what we were doing and the server, but never the password.
    pub(super) fn error(&self, operation: &str, reason: impl fmt::Display) -> StateError {
        StateError { context: format!("{operation} at redis {}", self.place), reason: reason.to_string() }
    }

    /// When a command that begins now must be over.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout())
    }

    fn read<T: FromRedisValue>(&self, operation: &str, answer: Result<Value, Trouble>) -> Result<T, StateError> {
        let value = answer.map_err(|trouble| self.error(operation, trouble))?;
        from_redis_value(value).map_err(|error| self.error(operation, error))
    }

    async fn send(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        match &self.servers {
            Servers::Single(server, _) => server.send(command, Manner::Plain, deadline).await,
            Servers::Master(server, _) => server.send(command, Manner::Plain, deadline).await,
            Servers::Cluster(cluster) => Box::pin(cluster.send(command, deadline)).await,
        }
    }
}

fn script_command(how: &str, script: &str, keys: &[String], arguments: &impl ToRedisArgs) -> Cmd {
    let mut command = cmd(how);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
