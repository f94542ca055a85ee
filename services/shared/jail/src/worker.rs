//! The parent's side: a worker process, from its start to its end.

mod trial;

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
    runtime::Handle,
    time::{Instant, sleep},
};

pub use self::trial::try_out;
use crate::{
    channel, clock,
    frame::{MOST_HEAD_BYTES, ReplyPrefix, RequestPrefix},
    lost::{Lost, Reason},
    support::Support,
};

/// What runs as a worker: it must [`enter`](crate::enter) and [`serve`](crate::serve).
#[derive(Debug, Clone)]
pub struct Program {
    /// The file that is executed.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The largest payload of an answer, in bytes.
    pub most_payload_bytes: usize,
}

/// What one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Time on the processor.
    pub processor: Duration,
    /// Time by the clock on the wall, for one that waits or must wait for others.
    pub wall: Duration,
    /// Memory that it allocates, in bytes.
    pub memory_bytes: u64,
}

/// What a worker has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What became of it.
    pub head: Bytes,
    /// Bytes that belong to it.
    pub payload: Bytes,
    /// Time on the processor that it took, as the worker says.
    pub took: Duration,
}

/// A worker that waits for a call. Killed when it is dropped; no zombie stays.
#[derive(Debug)]
pub struct Worker {
    body: Body,
    socket: UnixStream,
    most_payload_bytes: usize,
    /// Of the processor, so far.
    used: Duration,
}

/// Its process.
#[derive(Debug)]
struct Body {
    child: Option<Child>,
    runtime: Handle,
}

/// How long one that hung up may take to end by itself, so that it can be told why.
const LAST_BREATH: Duration = Duration::from_millis(200);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
/// The processor's time of others is known no better.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// What is kept of a worker's last words.
const MOST_WORDS: u64 = 2048;
/// Before the payload has come, no more memory is taken for it.
const FIRST_PIECE: usize = 64 << 10;

impl Worker {
    /// Starts one, and waits until it is in its jail: `spawn` and `greet` in one.
    pub async fn start(program: &Program, within: Duration) -> Result<(Self, Support), Lost> {
        Self::spawn(program, &Handle::current())?.greet(within).await
    }

    /// Starts one, which takes about a millisecond. Only on a thread that stays: when that thread ends,
    /// so does the worker. `runtime` is where its calls will be made.
    pub fn spawn(program: &Program, runtime: &Handle) -> Result<Self, Lost> {
        let failed = |error: io::Error| Lost::new(Reason::NotStarted, error.to_string());
        let (child, socket) = spawn(program).map_err(failed)?;
        let body = Body { child: Some(child), runtime: runtime.clone() };
        let _context = runtime.enter();
        let socket = socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket)).map_err(failed)?;
        Ok(Self { body, socket, most_payload_bytes: program.most_payload_bytes, used: Duration::ZERO })
    }

    /// Waits until it is in its jail, and says what that is made of. Before the first call.
    pub async fn greet(self, within: Duration) -> Result<(Self, Support), Lost> {
        let (worker, greeting) = self.finish(Self::read_reply, sleep(within)).await?;
        match serde_json::from_slice(&greeting.head) {
            Ok(support) => Ok((worker, support)),
            Err(_) => Err(worker.body.end(Some(Reason::Garbled)).await),
        }
    }

    /// Whether it has ended already, by itself or by somebody else.
    pub fn has_ended(&mut self) -> bool {
        self.body.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.body.child.as_ref().map(Child::id)
    }

    /// Has a request answered. The worker comes back if it is still good. Whoever drops this call
    /// kills the worker.
    pub async fn call(self, head: &[u8], file: Option<BorrowedFd<'_>>, budget: Budget) -> Result<(Self, Reply), Lost> {
        let limit = overrun(self.pid(), self.used, budget);
        let exchange = async move |worker: &mut Self| {
            worker.send(head, file, budget.memory_bytes).await?;
            worker.read_reply().await
        };
        self.finish(exchange, limit).await
    }

    /// Does something with it until it is done or out of time. If it fails, the worker is gone.
    async fn finish<T>(
        mut self,
        step: impl AsyncFnOnce(&mut Self) -> io::Result<T>,
        limit: impl Future<Output = ()>,
    ) -> Result<(Self, T), Lost> {
        let outcome = tokio::select! {
            outcome = step(&mut self) => outcome.map_err(|error| {
                (error.kind() == io::ErrorKind::InvalidData).then_some(Reason::Garbled)
            }),
            () = limit => Err(Some(Reason::Time)),
        };
        match outcome {
            Ok(value) => Ok((self, value)),
            Err(known) => Err(self.body.end(known).await),
        }
    }

    async fn send(&mut self, head: &[u8], file: Option<BorrowedFd<'_>>, memory_bytes: u64) -> io::Result<()> {
        let head_bytes = u32::try_from(head.len()).ok().filter(|length| *length as usize <= MOST_HEAD_BYTES);
        let head_bytes = head_bytes.ok_or(io::ErrorKind::InvalidData)?;
        let prefix = RequestPrefix { head_bytes, has_file: file.is_some(), memory_bytes };
        let message = [prefix.encode().as_slice(), head].concat();
        let sent =
            self.socket.async_io(Interest::WRITABLE, || channel::send(self.socket.as_fd(), &message, file)).await?;
        self.socket.write_all(&message[sent..]).await
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let mut prefix = [0; ReplyPrefix::LENGTH];
        self.socket.read_exact(&mut prefix).await?;
        let ReplyPrefix { head_bytes, payload_bytes, processor_nanos } = ReplyPrefix::decode(&prefix);
        let (head_bytes, payload_bytes) = (head_bytes as usize, payload_bytes as usize);
        if head_bytes > MOST_HEAD_BYTES || payload_bytes > self.most_payload_bytes {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let head = self.read(head_bytes).await?;
        let payload = self.read(payload_bytes).await?;
        let used = Duration::from_nanos(processor_nanos);
        let took = used.saturating_sub(self.used);
        self.used = self.used.max(used);
        Ok(Reply { head, payload, took })
    }

    async fn read(&mut self, length: usize) -> io::Result<Bytes> {
        let mut bytes = BytesMut::with_capacity(length.min(FIRST_PIECE));
        while bytes.len() < length {
            let missing = (length - bytes.len()) as u64;
            if (&mut self.socket).take(missing).read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes.freeze())
    }
}

impl Body {
    /// Ends it if it has not ended by itself, and tells why.
    async fn end(mut self, known: Option<Reason>) -> Lost {
        let Some(child) = self.child.take() else { return Lost::new(Reason::Garbled, "") };
        let buried = self.runtime.spawn_blocking(move || bury(child, known)).await;
        buried.unwrap_or_else(|error| Lost::new(known.unwrap_or(Reason::Garbled), error.to_string()))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Fails only for one that has ended.
        drop(child.kill());
        self.runtime.spawn_blocking(move || child.wait());
    }
}

/// Blocks until it has ended.
fn bury(mut child: Child, known: Option<Reason>) -> Lost {
    let words = child.stderr.take();
    let has_ended = known.is_none() && breathe_out(&mut child);
    if !has_ended {
        drop(child.kill());
    }
    let status = child.wait();
    let words = words.map(hear).unwrap_or_default();
    match (status, has_ended) {
        (Ok(status), true) => Lost::by(status, words),
        // It hung up and went on, or we have ended it.
        (_, _) => Lost::new(known.unwrap_or(Reason::Garbled), words),
    }
}

/// Whether one that hung up ends by itself.
fn breathe_out(child: &mut Child) -> bool {
    let until = std::time::Instant::now() + LAST_BREATH;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) if std::time::Instant::now() < until => std::thread::sleep(BETWEEN_LOOKS),
            Ok(None) | Err(_) => return false,
        }
    }
}

/// What an ended worker has said: its pipe holds some, and is read only now.
fn hear(pipe: ChildStderr) -> String {
    let mut words = Vec::new();
    let mut pipe = File::from(OwnedFd::from(pipe)).take(MOST_WORDS);
    match pipe.read_to_end(&mut words) {
        Ok(_) => String::from_utf8_lossy(&words).trim_end().to_owned(),
        Err(_) => String::new(),
    }
}

/// Until a call is over its budget. Asks for the time on the processor no sooner than it can be used up.
async fn overrun(pid: Option<u32>, used_before: Duration, budget: Budget) {
    let deadline = Instant::now() + budget.wall;
    let mut left = budget.processor;
    loop {
        let until = (Instant::now() + left.max(LEAST_WAIT)).min(deadline);
        tokio::time::sleep_until(until).await;
        if until == deadline {
            return;
        }
        let Some(used) = pid.and_then(clock::of) else {
            return tokio::time::sleep_until(deadline).await;
        };
        left = budget.processor.saturating_sub(used.saturating_sub(used_before));
        if left.is_zero() {
            return;
        }
    }
}

/// The channel is its standard input: a place that needs no code between fork and exec. Every other
/// file of ours closes on exec.
fn spawn(program: &Program) -> io::Result<(Child, StdUnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    let child = Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, ours))
}
