//! One connection, as the HTTP layer sees it.
//!
//! When it may rest, the HTTP layer is told that the client has gone: it then ends in an ordinary
//! way. It may rest if the last request had no body, its answer was sent to the end, and nothing
//! came since, not even the beginning of another request.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_http::Extensions;
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
    rt::net::TcpStream,
    web::Bytes,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{AWAKE, AWAKE_AMONG_MANY, MANY};

/// The end of the head of a request.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection. All clones are the same one.
#[derive(Debug, Clone)]
pub struct Line(Rc<State>);

#[derive(Debug)]
struct State {
    socket: RefCell<TcpStream>,
    /// Requests that are at work, or whose answers are not sent to the end.
    turns: Cell<usize>,
    /// Whether what came last was the end of a head, and that of a request without a body.
    is_between: Cell<bool>,
    /// Whether all that was written is on its way.
    is_flushed: Cell<bool>,
    /// Grows with whatever comes or goes.
    moves: Cell<u64>,
    /// Runs since there were so many moves.
    timer: RefCell<Option<(Pin<Box<Sleep>>, u64)>>,
    /// Who waits until silence counts.
    waiting: RefCell<Option<Waker>>,
    rests: Cell<bool>,
    /// How many connections of this thread are not at rest.
    awake: Rc<Cell<usize>>,
}

impl Line {
    pub(super) fn new(socket: TcpStream, awake: Rc<Cell<usize>>) -> Self {
        Self(Rc::new(State {
            socket: RefCell::new(socket),
            turns: Cell::new(0),
            is_between: Cell::new(false),
            is_flushed: Cell::new(true),
            moves: Cell::new(0),
            timer: RefCell::new(None),
            waiting: RefCell::new(None),
            rests: Cell::new(false),
            awake,
        }))
    }

    /// Has the requests of a connection know it.
    pub fn introduce(&self, data: &mut Extensions) {
        data.insert(self.clone());
    }

    /// Whether the HTTP layer has ended because there was silence.
    pub(super) fn rests(&self) -> bool {
        self.0.rests.get()
    }

    /// Waits for more of the client, or for its end.
    pub(super) async fn more(&self) {
        let _ = poll_fn(|context| self.0.socket.borrow().poll_read_ready(context)).await;
        self.0.rests.set(false);
    }

    /// A request is at work until what this gives is dropped.
    pub(super) fn begin(&self, headers: &HeaderMap) -> Turn {
        self.0.turns.set(self.0.turns.get() + 1);
        if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
            self.0.is_between.set(false);
        }
        Turn(Rc::clone(&self.0))
    }
}

impl State {
    fn moved(&self) {
        self.moves.set(self.moves.get() + 1);
    }

    fn may_rest(&self) -> bool {
        self.turns.get() == 0 && self.is_between.get() && self.is_flushed.get()
    }

    /// How long a silence must be to count.
    fn patience(&self) -> Duration {
        if self.awake.get() > MANY { AWAKE_AMONG_MANY } else { AWAKE }
    }

    /// Ready when nothing has moved for a while, and nothing is to be expected. While there is
    /// something, no timer runs.
    fn poll_silence(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.borrow_mut();
        loop {
            if timer.is_none() && !self.may_rest() {
                self.waiting.replace(Some(context.waker().clone()));
                return Poll::Pending;
            }
            let (running, since) = timer.get_or_insert_with(|| (Box::pin(sleep(self.patience())), self.moves.get()));
            ready!(running.as_mut().poll(context));
            let was_silent = *since == self.moves.get();
            *timer = None;
            if was_silent && self.may_rest() {
                return Poll::Ready(());
            }
        }
    }

    /// Nothing more is to be expected, perhaps: then silence counts.
    fn look_again(&self) {
        if self.may_rest()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct Turn(Rc<State>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.turns.set(self.0.turns.get() - 1);
        self.0.moved();
        self.0.look_again();
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let State { socket, is_between, rests, .. } = &*self.0;
        let before = room.filled().len();
        let read = Pin::new(&mut *socket.borrow_mut()).poll_read(context, room);
        if read.is_ready() {
            is_between.set(room.filled()[before..].ends_with(HEAD_END));
            self.0.moved();
            return read;
        }
        ready!(self.0.poll_silence(context));
        rests.set(true);
        // As if the client had gone.
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.is_flushed.set(false);
        let written = ready!(Pin::new(&mut *self.0.socket.borrow_mut()).poll_write(context, bytes));
        self.0.moved();
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut *self.0.socket.borrow_mut()).poll_flush(context));
        if flushed.is_ok() && !self.0.is_flushed.replace(true) {
            self.0.look_again();
        }
        Poll::Ready(flushed)
    }

    /// A line that rests stays open.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rests() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.0.socket.borrow_mut()).poll_shutdown(context)
    }
}

/// The body of an answer. Until it was sent, or given up, the request is at work.
#[derive(Debug)]
pub struct Answer {
    body: BoxBody,
    _turn: Option<Turn>,
}

impl Answer {
    pub(super) fn new(body: BoxBody, turn: Option<Turn>) -> Self {
        Self { body, _turn: turn }
    }
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
