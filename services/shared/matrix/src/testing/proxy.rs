//! A proxy on loopback: `CONNECT` of HTTP, and SOCKS5 with a password.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

struct State {
    /// Where `host:port` leads.
    names: HashMap<String, SocketAddr>,
    asked: Mutex<Vec<String>>,
}

/// A proxy.
pub struct TestProxy {
    address: SocketAddr,
    state: Arc<State>,
    _task: JoinSet<()>,
}

impl fmt::Debug for TestProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestProxy").field(&self.address).finish()
    }
}

impl TestProxy {
    /// Listens on a free port; `names` tells where each `host:port` leads.
    pub async fn start<'a>(names: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let names = names.into_iter().map(|(name, address)| (name.to_owned(), address)).collect();
        let state = Arc::new(State { names, asked: Mutex::default() });
        let mut task = JoinSet::new();
        let shared = Arc::clone(&state);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { address, state, _task: task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it was asked to connect to, and who asked: `host:port credentials`.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

/// `None` if the other side went.
async fn serve(mut socket: TcpStream, state: Arc<State>) -> Option<()> {
    let first = socket.read_u8().await.ok()?;
    let is_socks = first == 5;
    let (target, credentials) = if is_socks { read_socks(&mut socket).await } else { read_connect(&mut socket).await }?;
    let found = state.names.get(&target).copied();
    state.asked.lock().unwrap().push(format!("{target} {credentials}"));
    let upstream = match found {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    let answer: &[u8] = match (is_socks, &upstream) {
        (true, Some(_)) => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        (true, None) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        (false, Some(_)) => b"HTTP/1.1 200 Connected\r\n\r\n",
        (false, None) => b"HTTP/1.1 403 Forbidden\r\n\r\n",
    };
    socket.write_all(answer).await.ok()?;
    copy_bidirectional(&mut socket, &mut upstream?).await.ok().map(drop)
}

async fn read_connect(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut head = vec![b'C'];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    let credentials = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    Some((target, credentials.unwrap_or_default().to_owned()))
}

async fn read_socks(socket: &mut TcpStream) -> Option<(String, String)> {
    let methods = read_counted(socket).await?;
    let wants_password = methods.contains(&2);
    socket.write_all(&[5, if wants_password { 2 } else { 0 }]).await.ok()?;
    let mut credentials = String::new();
    if wants_password {
        socket.read_u8().await.ok()?;
        let (user, password) = (read_counted(socket).await?, read_counted(socket).await?);
        credentials = format!("{}:{}", String::from_utf8(user).ok()?, String::from_utf8(password).ok()?);
        socket.write_all(&[1, 0]).await.ok()?;
    }
    let mut request = [0; 4];
    socket.read_exact(&mut request).await.ok()?;
    // Names alone: addresses are not what is tried here.
    let host = if request[3] == 3 { String::from_utf8(read_counted(socket).await?).ok()? } else { return None };
    Some((format!("{host}:{}", socket.read_u16().await.ok()?), credentials))
}

async fn read_counted(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let length = socket.read_u8().await.ok()?;
    let mut bytes = vec![0; usize::from(length)];
    socket.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
