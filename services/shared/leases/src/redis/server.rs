//! One server, or whichever is the master: one connection that all commands share, replaced when
//! it is broken, and every command over it bounded in time.
//!
//! Not `redis::aio::ConnectionManager`: that one keeps a connection whose peer vanished without
//! a word until the kernel gives up after a quarter of an hour, and answers the first command
//! after an outage with the error of the last attempt.

use std::sync::Arc;

use redis::{Cmd, Value, aio::ConnectionLike, pipe};

use super::{
    dial::{Address, Connection, Dialer},
    held::Held,
    sentinels::Sentinels,
    trouble::{Deadline, Trouble},
};

/// Who is connected to.
pub(super) enum Way {
    To(Address, Arc<Dialer>),
    /// Whom the sentinels name.
    ToMaster(Arc<Sentinels>),
}

/// How a command is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Plain,
    /// To the server to which a slot is just moving.
    Asking,
}

/// The server and our connection to it.
pub(super) struct Server {
    way: Way,
    held: Held<Connection>,
}

impl Server {
    pub(super) fn new(way: Way) -> Self {
        Self { way, held: Held::new() }
    }

    /// Sends once more if the connection turns out to be broken, as it is after Redis was
    /// restarted: every command of ours may run twice.
    pub(super) async fn send(&self, command: &Cmd, manner: Manner, deadline: Deadline) -> Result<Value, Trouble> {
        match self.send_once(command, manner, deadline).await {
            Err(Attempt::Broken(Trouble::Redis(_))) => {
                self.send_once(command, manner, deadline).await.map_err(Attempt::trouble)
            }
            outcome => outcome.map_err(Attempt::trouble),
        }
    }

    async fn send_once(&self, command: &Cmd, manner: Manner, deadline: Deadline) -> Result<Value, Attempt> {
        let (number, connection) =
            self.held.get(deadline, || Box::pin(self.dial(deadline))).await.map_err(Attempt::Failed)?;
        let answer = deadline.bound(say(connection, command, manner)).await.flatten();
        answer.map_err(|trouble| {
            if !trouble.breaks_connection() {
                return Attempt::Failed(trouble);
            }
            self.held.forget(number);
            Attempt::Broken(trouble)
        })
    }

    async fn dial(&self, deadline: Deadline) -> Result<Connection, Trouble> {
        match &self.way {
            Way::To(address, dialer) => dialer.open(address).await,
            Way::ToMaster(sentinels) => sentinels.open_master(deadline).await,
        }
    }

    /// Whom we are connected to.
    pub(super) fn connected_to(&self) -> Option<Address> {
        self.held.find().map(|connection| connection.address)
    }

    /// Whether the last attempt to connect failed.
    pub(super) fn is_down(&self) -> bool {
        self.held.is_down()
    }

    /// Connects anew with the next command.
    pub(super) fn leave(&self) {
        self.held.reset();
    }
}

async fn say(mut connection: Connection, command: &Cmd, manner: Manner) -> Result<Value, Trouble> {
    let value = match manner {
        Manner::Plain => connection.commands.req_packed_command(command).await?,
        Manner::Asking => {
            // In one piece: it counts for the next command on the connection alone.
            let mut both = pipe();
            both.cmd("ASKING").add_command(command.clone());
            connection.commands.req_packed_commands(&both, 1, 1).await?.pop().ok_or(Trouble::Closed)?
        }
    };
    Ok(value.extract_error()?)
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
