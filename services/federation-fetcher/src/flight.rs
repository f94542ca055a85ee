//! One fetch as those who wait for it see it: its head, its latest bytes, its end.
//!
//! Memory is bounded: only the beginning and a window of the latest bytes are kept. Who is behind it, be it
//! late or slow, waits for the commit and goes on in the stored blob. So nobody slows the
//! fetch down and nobody makes it grow.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_blobs::{BlobStore, Key};
use heliograph_proto::{Differs, Fetch, MediaBody, RemoteHead, RemoteMedia, Seam};
use heliograph_types::{ErrorCode, Failure};
use tokio::{sync::watch, time::timeout};

/// Bytes kept in memory per fetch.
const WINDOW_BYTES: usize = 4 << 20;
/// The beginning stays besides that: an origin that is faster than all who read leaves nobody
/// without a first byte until the commit.
const BEGINNING_BYTES: u64 = 64 << 10;
const MOST_FIRST_PIECES: usize = 64;
/// What a piece costs besides its bytes: tiny pieces must not fill memory either.
const PIECE_COST: usize = 160;

/// What the origin says of the content.
pub(crate) type Head = RemoteHead;

/// Where the content is after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) size_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// False while it waits for its turn.
    has_begun: bool,
    /// Whether this instance is the one that asks the origin.
    leads: bool,
    head: Option<Head>,
    /// Pieces with the offset of each, without gaps.
    window: VecDeque<(u64, Bytes)>,
    window_cost: usize,
    /// The first pieces, as in the window.
    beginning: Vec<(u64, Bytes)>,
    arrived_bytes: u64,
    end: Option<Result<Stored, Failure>>,
}

/// What a reader does next.
pub(crate) enum Step {
    Take(Bytes),
    Open(Stored),
    Wait,
    End(Result<Stored, Failure>),
}

impl State {
    fn push(&mut self, piece: Bytes) {
        self.window_cost += piece.len() + PIECE_COST;
        let offset = self.arrived_bytes;
        self.arrived_bytes += piece.len() as u64;
        if offset < BEGINNING_BYTES && self.beginning.len() < MOST_FIRST_PIECES {
            self.beginning.push((offset, piece.clone()));
        }
        self.window.push_back((offset, piece));
        while self.window_cost > WINDOW_BYTES
            && let Some((_, gone)) = self.window.pop_front()
        {
            self.window_cost -= gone.len() + PIECE_COST;
        }
    }

    /// The rest of the piece that holds `offset`, if it is still here.
    fn find_piece(&self, offset: u64) -> Option<Bytes> {
        let begins = |(start, _): &(u64, Bytes)| *start <= offset;
        let latest = self.window.partition_point(begins).checked_sub(1).and_then(|at| self.window.get(at));
        let first = || self.beginning[..self.beginning.partition_point(begins)].last();
        latest.and_then(|piece| rest_of(piece, offset)).or_else(|| rest_of(first()?, offset))
    }

    /// Whether other instances may follow: nobody follows one that follows another.
    pub(crate) fn can_be_followed(&self) -> bool {
        self.leads || matches!(self.end, Some(Ok(_)))
    }

    /// The head, or why there will be none.
    pub(crate) fn find_head(&self) -> Option<Result<Head, Failure>> {
        match (&self.head, &self.end) {
            (_, Some(Err(failure))) => Some(Err(failure.clone())),
            (Some(head), _) => Some(Ok(head.clone())),
            (None, _) => None,
        }
    }

    pub(crate) fn step(&self, offset: u64) -> Step {
        match (self.find_piece(offset), &self.end) {
            (_, Some(Err(failure))) => Step::End(Err(failure.clone())),
            (Some(piece), _) => Step::Take(piece),
            (None, Some(Ok(stored))) if offset < stored.size_bytes => Step::Open(stored.clone()),
            (None, Some(Ok(stored))) => Step::End(Ok(stored.clone())),
            (None, None) => Step::Wait,
        }
    }
}

fn rest_of((start, piece): &(u64, Bytes), offset: u64) -> Option<Bytes> {
    let skip = usize::try_from(offset - start).ok()?;
    (skip < piece.len()).then(|| piece.slice(skip..))
}

/// The fetch's end of a flight. Dropped without an end, the flight fails.
#[derive(Debug)]
pub(crate) struct Pilot {
    state: watch::Sender<State>,
    /// Where another source goes on, if there may be another.
    seam: Mutex<Option<Seam>>,
}

/// A flight, for all who wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    state: watch::Receiver<State>,
    /// How long the origin is to wait for the upload (`timeout_ms`).
    wait: Duration,
    /// Whether it turns back before what is large.
    for_thumbnail: bool,
}

/// A flight of one who asks so.
pub(crate) fn take_off(request: &Fetch) -> (Pilot, Flight) {
    let (sender, state) = watch::channel(State::default());
    let flight = Flight { state, wait: request.timeout, for_thumbnail: request.for_thumbnail };
    (Pilot { state: sender, seam: Mutex::default() }, flight)
}

impl Pilot {
    /// It is its turn.
    pub(crate) fn begin(&self) {
        self.state.send_modify(|state| state.has_begun = true);
    }

    /// Whether other instances may follow from now on.
    pub(crate) fn lead(&self, leads: bool) {
        self.state.send_modify(|state| state.leads = leads);
    }

    /// What comes from one source may have to go on from another.
    pub(crate) fn expect_restart(&self) {
        *self.seam() = Some(Seam::default());
    }

    /// Another source begins, at the first byte.
    pub(crate) fn restart(&self) {
        if let Some(seam) = &mut *self.seam() {
            seam.restart();
        }
    }

    /// The head has arrived: callers can begin to answer. That of another source must say the
    /// same; of a size that was not told, nothing was said.
    pub(crate) fn head(&self, head: Head) -> Result<(), Differs> {
        let mut result = Ok(());
        self.state.send_if_modified(|state| {
            let Some(before) = &state.head else {
                state.head = Some(head);
                return true;
            };
            let same_size = before.size_bytes.is_none_or(|size| head.size_bytes.is_none_or(|now| now == size));
            if !same_size || before.content_type != head.content_type {
                result = Err(Differs);
            }
            false
        });
        result
    }

    /// The next bytes have arrived; not empty.
    pub(crate) fn piece(&self, piece: Bytes) -> Result<(), Differs> {
        let piece = match &mut *self.seam() {
            Some(seam) => seam.pass(piece)?,
            None => piece,
        };
        if !piece.is_empty() {
            self.state.send_modify(|state| state.push(piece));
        }
        Ok(())
    }

    /// All bytes of a source have arrived.
    pub(crate) fn finish(&self) -> Result<(), Differs> {
        self.seam().as_ref().map_or(Ok(()), Seam::finish)
    }

    /// A copy goes on where the pieces end.
    pub(crate) fn check_whole(&self, stored: &Stored) -> Result<(), Differs> {
        if stored.size_bytes < self.state.borrow().arrived_bytes { Err(Differs) } else { Ok(()) }
    }

    /// How much has come so far.
    pub(crate) fn arrived_bytes(&self) -> u64 {
        self.state.borrow().arrived_bytes
    }

    /// The content is durable, or there is none.
    pub(crate) fn land(&self, end: Result<Stored, Failure>) {
        self.state.send_modify(|state| {
            state.end.get_or_insert(end);
        });
    }

    fn seam(&self) -> MutexGuard<'_, Option<Seam>> {
        self.seam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn crashed() -> Failure {
    Failure::internal("the fetch ended without a result")
}

impl Flight {
    /// Whether who waits so long for the upload may get more from a flight of his own.
    pub(crate) fn waits_less_than(&self, wait: Duration) -> bool {
        self.wait < wait
    }

    /// Whether who asks so may get more from a flight of his own.
    pub(crate) const fn declines_more_than(&self, request: &Fetch) -> bool {
        self.for_thumbnail && !request.for_thumbnail
    }

    /// Waits for the head, but not longer than `patience`; then the body follows the fetch
    /// from its first byte.
    pub(crate) async fn board(mut self, blobs: Arc<dyn BlobStore>, patience: Duration) -> Result<RemoteMedia, Failure> {
        let head = timeout(patience, self.wait_for_head()).await;
        let Head { content_type, file_name, size_bytes } = head.unwrap_or_else(|_| Err(self.too_late()))?;
        Ok(RemoteMedia { content_type, file_name, size_bytes, body: self.follow(blobs) })
    }

    /// Whether the head arrives.
    pub(crate) async fn has_head(mut self) -> bool {
        self.wait_for_head().await.is_ok()
    }

    async fn wait_for_head(&mut self) -> Result<Head, Failure> {
        self.until(State::find_head).await.unwrap_or_else(|| Err(crashed()))
    }

    /// What `look` finds, as soon as it does; `None` if the fetch has vanished.
    pub(crate) async fn until<T>(&mut self, look: impl Fn(&State) -> Option<T>) -> Option<T> {
        loop {
            let found = look(&self.state.borrow_and_update());
            if found.is_some() {
                return found;
            }
            self.state.changed().await.ok()?;
        }
    }

    fn too_late(&self) -> Failure {
        if self.state.borrow().has_begun {
            Failure::new(ErrorCode::BadGateway, "the media of the other server does not arrive in time")
        } else {
            Failure::saturated("too many media of this server are being fetched", Duration::from_secs(5))
        }
    }

    /// Bytes from the window, then the rest from the store if the window was too small.
    fn follow(self, blobs: Arc<dyn BlobStore>) -> MediaBody {
        let pieces = stream::try_unfold((self, 0_u64, false), move |(mut flight, offset, is_over)| {
            let blobs = Arc::clone(&blobs);
            async move {
                if is_over {
                    return Ok(None);
                }
                match flight.next_step(offset).await? {
                    Step::Take(piece) => {
                        let next = offset + piece.len() as u64;
                        let piece: MediaBody = Box::pin(stream::once(async { Ok(piece) }));
                        Ok(Some((piece, (flight, next, false))))
                    }
                    Step::Open(stored) => {
                        let rest = blobs.open(&stored.key, offset..stored.size_bytes).await?;
                        let rest: MediaBody = Box::pin(rest.map_err(Failure::from));
                        Ok(Some((rest, (flight, stored.size_bytes, true))))
                    }
                    Step::Wait => Err(crashed()),
                    Step::End(end) => end.map(|_| None),
                }
            }
        });
        Box::pin(pieces.try_flatten().boxed())
    }

    /// Never `Wait`.
    async fn next_step(&mut self, offset: u64) -> Result<Step, Failure> {
        let step = |state: &State| Some(state.step(offset)).filter(|step| !matches!(step, Step::Wait));
        self.until(step).await.ok_or_else(crashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heliograph_blobs::{LocalStore, StorageConfig};
    use heliograph_types::ContentType;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn request(timeout: Duration) -> Fetch {
        let (tenant, mxc) = ("us.example".parse().unwrap(), "mxc://there.example/m1".parse().unwrap());
        Fetch { tenant, mxc, timeout, for_thumbnail: false }
    }

    fn head() -> Head {
        Head { content_type: ContentType::octet_stream(), file_name: None, size_bytes: None }
    }

    fn store() -> (tempfile::TempDir, Arc<dyn BlobStore>) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), &StorageConfig::default()).unwrap();
        (folder, Arc::new(store))
    }

    async fn read_all(media: RemoteMedia) -> Result<Vec<u8>, Failure> {
        media
            .body
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }

    #[tokio::test]
    async fn early_and_late_readers_get_the_same_bytes_and_the_end_only_after_the_commit() {
        let (_folder, blobs) = store();
        let (pilot, flight) = take_off(&request(PATIENCE));
        pilot.head(head()).unwrap();
        pilot.piece("ab".into()).unwrap();
        let mut early = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();
        assert_eq!(early.body.next().await, Some(Ok("ab".into())));
        pilot.piece("cd".into()).unwrap();
        let late = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();
        assert_eq!(early.body.next().await, Some(Ok("cd".into())));

        let mut end = early.body.next();
        assert!(futures_util::poll!(&mut end).is_pending(), "all has arrived, but nothing is durable");
        pilot.land(Ok(Stored { key: Key::new("blobs/x").unwrap(), size_bytes: 4 }));

        assert_eq!(end.await, None);
        assert_eq!(read_all(late).await.unwrap(), b"abcd");
    }

    #[tokio::test]
    async fn a_failure_reaches_readers_at_once_and_is_never_a_clean_end() {
        let (_folder, blobs) = store();
        let (pilot, flight) = take_off(&request(PATIENCE));
        pilot.head(head()).unwrap();
        pilot.piece("ab".into()).unwrap();
        let media = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();

        pilot.land(Err(Failure::new(ErrorCode::BadGateway, "gone")));

        assert_eq!(read_all(media).await.unwrap_err().code, ErrorCode::BadGateway);
        assert_eq!(flight.board(blobs, PATIENCE).await.unwrap_err().code, ErrorCode::BadGateway);
    }

    #[tokio::test]
    async fn a_fetch_that_vanishes_is_a_failure() {
        let (_folder, blobs) = store();
        let (pilot, flight) = take_off(&request(PATIENCE));
        pilot.head(head()).unwrap();
        let media = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();
        let ((), waits_for_head) = (drop(pilot), take_off(&request(PATIENCE)).1);

        assert_eq!(read_all(media).await.unwrap_err().code, ErrorCode::Internal);
        assert_eq!(waits_for_head.board(blobs, PATIENCE).await.unwrap_err().code, ErrorCode::Internal);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_head_for_longer_than_he_wants() {
        let (_folder, blobs) = store();
        let (pilot, flight) = take_off(&request(Duration::ZERO));

        let queued = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap_err();
        pilot.begin();
        let begun = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap_err();
        pilot.head(head()).unwrap();

        assert_eq!((queued.code, begun.code), (ErrorCode::LimitExceeded, ErrorCode::BadGateway));
        assert!(flight.board(blobs, Duration::ZERO).await.is_ok(), "what is there is not waited for");
    }

    #[tokio::test]
    async fn who_falls_behind_the_window_goes_on_in_the_stored_blob() {
        let (_folder, blobs) = store();
        let content: Vec<u8> = (0..3 * WINDOW_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let key = Key::new("blobs/aa/x").unwrap();
        let (pilot, flight) = take_off(&request(PATIENCE));
        pilot.head(head()).unwrap();
        let mut slow = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();
        let pieces: Vec<Bytes> = content.chunks(100_000).map(Bytes::copy_from_slice).collect();
        pilot.piece(pieces[0].clone()).unwrap();
        let mut read = slow.body.next().await.unwrap().unwrap().to_vec();
        pieces[1..].iter().for_each(|piece| pilot.piece(piece.clone()).unwrap());
        assert!(pilot.state.borrow().window_cost <= WINDOW_BYTES);
        let late = flight.clone().board(Arc::clone(&blobs), PATIENCE).await.unwrap();

        blobs.put(&key, content.clone().into()).await.unwrap();
        pilot.land(Ok(Stored { key, size_bytes: content.len() as u64 }));

        read.extend(read_all(slow).await.unwrap());
        assert!(read == content && read_all(late).await.unwrap() == content);
    }

    #[tokio::test]
    async fn who_comes_behind_the_window_gets_the_beginning_at_once() {
        let (_folder, blobs) = store();
        let (pilot, flight) = take_off(&request(PATIENCE));
        pilot.head(head()).unwrap();
        let piece = Bytes::from(vec![7; 40_000]);
        for _ in 0..2 * WINDOW_BYTES / piece.len() {
            pilot.piece(piece.clone()).unwrap();
        }
        let mut late = flight.board(blobs, PATIENCE).await.unwrap().body;

        for _ in 0..2 {
            assert_eq!(late.next().await, Some(Ok(piece.clone())));
        }
        assert!(futures_util::poll!(late.next()).is_pending(), "what is neither there nor stored is waited for");
    }

    #[test]
    fn tiny_pieces_do_not_fill_memory() {
        let mut state = State::default();
        for _ in 0..WINDOW_BYTES / 16 {
            state.push(Bytes::from_static(b"x"));
        }

        assert!(state.window.len() <= WINDOW_BYTES / PIECE_COST && state.beginning.len() <= MOST_FIRST_PIECES);
    }
}
