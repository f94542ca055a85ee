//! The connection that commands share: made when needed, replaced when broken, and every
//! command over it bounded in time.
//!
//! Not `redis::aio::ConnectionManager`: that one keeps a connection whose peer vanished without
//! a word until the kernel gives up after a quarter of an hour, and answers the first command
//! after an outage with the error of the last attempt.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_types::Secret;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, ProtocolVersion, RedisError,
    ServerErrorKind, ToRedisArgs, Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cmd, from_redis_value,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::scripts::Step;
use crate::{StateConfig, StateError, measure::measured};

/// A way to the server.
pub(super) struct Link {
    client: Client,
    address: String,
    timeout: Duration,
    state: Mutex<Current>,
    // Whoever holds it is the one who connects.
    dialing: tokio::sync::Mutex<()>,
}

/// Where we stand with the server.
enum Current {
    /// No connection, and no reason yet to think that there can be none.
    Unknown,
    /// The connection and its number.
    Up(u64, MultiplexedConnection),
    /// The last attempt failed. One caller at a time tries again; the others fail at once, so
    /// that an outage costs them no time.
    Down(Trouble),
}

/// Why there was no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    NoAnswer(Duration),
    Closed,
    Redis(RedisError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Redis(error) => error.fmt(f),
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl Trouble {
    /// Whether the connection is of no more use.
    fn breaks_connection(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Closed => true,
            // A read-only server was the master once: the name leads to another one by now.
            Self::Redis(error) => {
                error.is_io_error()
                    || error.is_unrecoverable_error()
                    || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            }
        }
    }

    fn is_missing_script(&self) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }
}

/// What leads to the server at `url`, which is not asked; the error does not show the URL.
pub(super) fn client(url: &Secret<String>) -> Result<Client, String> {
    let server = url.expose().as_str().into_connection_info().map_err(|error| error.to_string())?;
    // Scores come as text in this version, and so without loss.
    let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Client::open(server.set_redis_settings(settings)).map_err(|error| error.to_string())
}

impl Link {
    pub(super) fn new(config: &StateConfig) -> Result<Self, StateError> {
        let unusable = |reason: String| StateError { context: "setting redis_url".to_owned(), reason };
        let url = config.redis_url.as_ref().ok_or_else(|| unusable("it is not set".to_owned()))?;
        let client = client(url).map_err(unusable)?;
        Ok(Self {
            address: client.get_connection_info().addr().to_string(),
            client,
            timeout: config.timeout,
            state: Mutex::new(Current::Unknown),
            dialing: tokio::sync::Mutex::default(),
        })
    }

    /// The longest that anything may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a command and reads the answer.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, StateError> {
        let deadline = Instant::now() + self.timeout;
        let answer = async { self.read(operation, self.send(command, deadline).await) };
        measured("redis", operation, answer).await
    }

    /// Runs a script over its keys, by its hash if Redis knows it.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        operation: &'static str,
        step: &Step,
        keys: &[String],
        arguments: impl ToRedisArgs,
    ) -> Result<T, StateError> {
        let by_hash = script_command("EVALSHA", &step.hash, keys, &arguments);
        let by_source = script_command("EVAL", &step.source, keys, &arguments);
        let deadline = Instant::now() + self.timeout;
        let answer = async {
            let mut answer = self.send(&by_hash, deadline).await;
            if answer.as_ref().is_err_and(Trouble::is_missing_script) {
                answer = self.send(&by_source, deadline).await;
            }
            self.read(operation, answer)
        };
        measured("redis", operation, answer).await
    }

    /// A connection of its own for signals.
    pub(super) async fn open_pubsub(&self) -> Result<PubSub, Trouble> {
        let opened = timeout(self.timeout, self.client.get_async_pubsub()).await;
        Ok(opened.map_err(|_| Trouble::NoAnswer(self.timeout))??)
    }

    /// An error that names what we were doing and the server, but never the password.
    pub(super) fn error(&self, operation: &str, reason: impl fmt::Display) -> StateError {
        StateError { context: format!("{operation} at redis {}", self.address), reason: reason.to_string() }
    }

    fn read<T: FromRedisValue>(&self, operation: &str, answer: Result<Value, Trouble>) -> Result<T, StateError> {
        let value = answer.map_err(|trouble| self.error(operation, trouble))?;
        from_redis_value(value).map_err(|error| self.error(operation, error))
    }

    /// Sends once more if the connection turns out to be broken, as it is after Redis was
    /// restarted: every command of ours may run twice.
    async fn send(&self, command: &Cmd, deadline: Instant) -> Result<Value, Trouble> {
        match self.send_once(command, deadline).await {
            Err(Attempt::Broken(Trouble::Redis(_))) => {
                self.send_once(command, deadline).await.map_err(Attempt::trouble)
            }
            outcome => outcome.map_err(Attempt::trouble),
        }
    }

    async fn send_once(&self, command: &Cmd, deadline: Instant) -> Result<Value, Attempt> {
        let (number, mut connection) = self.connection(deadline).await.map_err(Attempt::Failed)?;
        let answer = match timeout_at(deadline, connection.req_packed_command(command)).await {
            Ok(Ok(value)) => value.extract_error().map_err(Trouble::Redis),
            Ok(Err(error)) => Err(Trouble::Redis(error)),
            Err(_) => Err(Trouble::NoAnswer(self.timeout)),
        };
        answer.map_err(|trouble| {
            if !trouble.breaks_connection() {
                return Attempt::Failed(trouble);
            }
            self.forget_connection(number);
            Attempt::Broken(trouble)
        })
    }

    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), Trouble> {
        let was_down = match &*self.state() {
            Current::Up(number, connection) => return Ok((*number, connection.clone())),
            Current::Down(trouble) => Some(trouble.clone()),
            Current::Unknown => None,
        };
        let _turn = match &was_down {
            Some(trouble) => self.dialing.try_lock().map_err(|_| trouble.clone())?,
            None => timeout_at(deadline, self.dialing.lock()).await.map_err(|_| Trouble::NoAnswer(self.timeout))?,
        };
        match &*self.state() {
            Current::Up(number, connection) => return Ok((*number, connection.clone())),
            // Whoever had the turn before us found it down.
            Current::Down(trouble) if was_down.is_none() => return Err(trouble.clone()),
            Current::Down(_) | Current::Unknown => {}
        }
        self.dial(deadline).await
    }

    async fn dial(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), Trouble> {
        // Our own deadlines bound every step.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let dialed = timeout_at(deadline, self.client.get_multiplexed_async_connection_with_config(&config)).await;
        let outcome = dialed.map_err(|_| Trouble::NoAnswer(self.timeout)).and_then(|dialed| Ok(dialed?));
        let mut state = self.state();
        match outcome {
            Ok(connection) => {
                let number = rand::random();
                *state = Current::Up(number, connection.clone());
                Ok((number, connection))
            }
            Err(trouble) => {
                *state = Current::Down(trouble.clone());
                Err(trouble)
            }
        }
    }

    /// Unless it was replaced already.
    fn forget_connection(&self, number: u64) {
        let mut state = self.state();
        if matches!(&*state, Current::Up(current, _) if *current == number) {
            *state = Current::Unknown;
        }
    }

    fn state(&self) -> MutexGuard<'_, Current> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one attempt to send a command ended.
enum Attempt {
    /// Another connection would not help.
    Failed(Trouble),
    /// The connection was broken, and is forgotten.
    Broken(Trouble),
}

impl Attempt {
    fn trouble(self) -> Trouble {
        match self {
            Self::Failed(trouble) | Self::Broken(trouble) => trouble,
        }
    }
}

fn script_command(how: &str, script: &str, keys: &[String], arguments: &impl ToRedisArgs) -> Cmd {
    let mut command = cmd(how);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
