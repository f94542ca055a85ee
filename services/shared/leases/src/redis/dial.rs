//! How a connection to one server is made: over TCP, TLS or a socket file.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, RedisConnectionInfo,
    aio::{MultiplexedConnection, PubSub},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
};
use tokio_rustls::TlsConnector;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::trouble::{Deadline, Trouble};

/// Of a name that has more addresses, the others are not tried.
const MOST_ADDRESSES: usize = 8;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Address {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connection for commands, shared by its clones. Ends with the last of them.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) commands: MultiplexedConnection,
    // Else what waits to be written to a peer that hangs would keep the socket open.
    _driver: Arc<AbortOnDropHandle<Option<()>>>,
}

/// Where the tasks that drive connections run, and until when.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// Connects to servers of one kind, all with the same login.
pub(super) struct Dialer {
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
    timeout: Duration,
    life: Life,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Dialer {
    pub(super) const fn new(
        login: RedisConnectionInfo,
        tls: Option<TlsConnector>,
        timeout: Duration,
        life: Life,
    ) -> Self {
        Self { login, tls, timeout, life }
    }

    /// The longest that anything may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection for commands. Whoever calls bounds it in time.
    pub(super) async fn open(&self, address: &Address) -> Result<Connection, Trouble> {
        let stream = self.connect(address).await?;
        // Our own deadlines bound every step.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let (commands, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let driver = self.life.shutdown.clone().run_until_cancelled_owned(driver);
        let driver = AbortOnDropHandle::new(self.life.tasks.spawn(driver));
        Ok(Connection { address: address.clone(), commands, _driver: Arc::new(driver) })
    }

    /// A connection of its own for signals, within the timeout.
    pub(super) async fn open_pubsub(&self, address: &Address) -> Result<PubSub, Trouble> {
        let open = async { Ok(PubSub::new(&self.login, self.connect(address).await?).await?) };
        Deadline::after(self.timeout).bound(open).await.flatten()
    }

    async fn connect(&self, address: &Address) -> Result<Box<dyn Stream>, Trouble> {
        let (host, port) = match address {
            Address::Tcp(host, port) => (host.as_str(), *port),
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        };
        let stream = connect_tcp(host, port).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Trouble::Unfit(format!("{host} can be no name in a certificate")))?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

/// To all addresses of a name at once, the first that answers: one whose machine is gone says
/// nothing.
async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, Trouble> {
    let attempts: Vec<_> = lookup_host((host, port))
        .await?
        .take(MOST_ADDRESSES)
        .map(|address| Box::pin(TcpStream::connect(address)))
        .collect();
    if attempts.is_empty() {
        return Err(Trouble::Unfit(format!("{host} has no address")));
    }
    let (stream, _) = select_ok(attempts).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
