//! From a wish to its end across the cluster: whoever claims the fetch asks the origin, the
//! others follow. If the one that fetches is lost, another one takes over, and those who read
//! get what they do not have yet.

use std::{future::pending, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use heliograph_blobs::Key;
use heliograph_proto::{Fetch, FetchPeer, FollowError, Followed, Following};
use heliograph_types::{ErrorCode, Failure};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cluster::{CLAIM_TTL, Claim, Claimed, Cluster},
    fetch::{Fetcher, serve_copy},
    flight::{Pilot, Stored},
    metrics,
    verdict::FetchError,
};

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// How often to look for the copy that an instance makes which cannot be followed.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How the origin is asked.
pub(crate) struct Lead<'a> {
    pub(crate) deadline: Instant,
    pub(crate) claim: Option<&'a Claim<'a>>,
    /// Whether another instance had begun: what it has left behind may be in the way.
    pub(crate) is_successor: bool,
}

impl Lead<'_> {
    /// Whatever other instances do.
    pub(crate) const fn alone(deadline: Instant) -> Self {
        Self { deadline, claim: None, is_successor: false }
    }

    /// Ends when another instance has taken over.
    pub(crate) async fn lost(&self) {
        match self.claim {
            Some(claim) => claim.lost().cancelled().await,
            None => pending().await,
        }
    }
}

/// One wish on its way.
struct Journey<'a> {
    fetcher: &'a Fetcher,
    cluster: &'a Cluster,
    request: &'a Fetch,
    pilot: &'a Pilot,
    began_at: Instant,
    deadline: Instant,
    /// Before the next look at what another instance does.
    pause: Duration,
    /// Whether another instance had begun, and has not come to an end.
    was_lost: bool,
}

/// How following ended without a copy.
enum Unfollowed {
    /// Look again whose the fetch is.
    Lost,
    Failed(FetchError),
}

impl From<FetchError> for Unfollowed {
    fn from(error: FetchError) -> Self {
        Self::Failed(error)
    }
}

impl Fetcher {
    /// Fetches; tells `pilot` of head and pieces, and answers where it is stored.
    pub(crate) async fn run(&self, request: &Fetch, pilot: &Pilot) -> Result<Stored, FetchError> {
        let began_at = Instant::now();
        let deadline = began_at + self.fetch_timeout;
        let Some(cluster) = &self.cluster else {
            return self.fetch(request, pilot, &Lead::alone(deadline)).await;
        };
        pilot.expect_restart();
        let (pause, was_lost) = (SHORTEST_PAUSE, false);
        Journey { fetcher: self, cluster, request, pilot, began_at, deadline, pause, was_lost }.go().await
    }
}

impl Journey<'_> {
    async fn go(mut self) -> Result<Stored, FetchError> {
        loop {
            let alone = Lead::alone(self.deadline);
            let end = match self.cluster.claim(&self.request.mxc).await {
                Claimed::Ours(claim) => self.lead(claim).await,
                Claimed::Unknown => {
                    self.pilot.restart();
                    return self.fetcher.fetch(&self.rest(), self.pilot, &alone).await;
                }
                Claimed::Theirs => {
                    let fetcher = self.fetcher;
                    fetcher.bounded(&alone, others_are_late, self.follow_or_wait()).await
                }
            };
            if let Some(stored) = end? {
                return Ok(stored);
            }
        }
    }

    /// What is still wanted: whoever waits for an upload has waited for a while.
    fn rest(&self) -> Fetch {
        let timeout = self.request.timeout.saturating_sub(self.began_at.elapsed());
        Fetch { timeout, ..self.request.clone() }
    }

    /// Asks the origin. `None` if another instance has taken over meanwhile.
    async fn lead(&mut self, claim: Claim<'_>) -> Result<Option<Stored>, FetchError> {
        self.pilot.restart();
        self.pilot.lead(true);
        let (rest, lead) =
            (self.rest(), Lead { deadline: self.deadline, claim: Some(&claim), is_successor: self.was_lost });
        let result = tokio::select! {
            biased;
            result = self.fetcher.fetch(&rest, self.pilot, &lead) => result,
            never = claim.keep() => match never {},
        };
        // Whoever has taken over may have given up our upload before we knew.
        let is_lost = claim.lost().is_cancelled() || (result.is_err() && !claim.renew().await);
        // The origin has not failed: whoever follows is to go on without us.
        if result.is_err() && (is_lost || self.fetcher.shutdown.is_cancelled()) {
            self.pilot.lead(false);
        }
        claim.release(is_lost).await;
        match result {
            Err(_) if is_lost => Ok(None),
            result => result.map(Some),
        }
    }

    /// Follows the instance that fetches; without its address, looks for its copy. `None` if
    /// it is not known any more who fetches.
    async fn follow_or_wait(&mut self) -> Result<Option<Stored>, FetchError> {
        let Some(url) = self.cluster.find_holder(&self.request.mxc).await else {
            if let Some(record) = self.fetcher.find_copy(&self.request.mxc).await? {
                return serve_copy(&record, self.pilot).map(Some);
            }
            self.rest_a_while().await;
            return Ok(None);
        };
        match self.follow(&url).await {
            Ok(stored) => Ok(Some(stored)),
            Err(Unfollowed::Failed(error)) if self.wants_to_wait_longer(&error) => Ok(None),
            Err(Unfollowed::Failed(error)) => Err(error),
            Err(Unfollowed::Lost) => {
                self.was_lost = true;
                self.rest_a_while().await;
                Ok(None)
            }
        }
    }

    async fn rest_a_while(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The other instance did not ask the origin to wait for so long.
    fn wants_to_wait_longer(&self, error: &FetchError) -> bool {
        error.failure.code == ErrorCode::NotYetUploaded && !self.rest().timeout.is_zero()
    }

    async fn follow(&mut self, url: &str) -> Result<Stored, Unfollowed> {
        let peer = self.cluster.peers.find(url).ok_or(Unfollowed::Lost)?;
        let mut following = peer.follow(self.rest()).await.map_err(to_unfollowed)?;
        self.pilot.restart();
        loop {
            match self.next(&mut following).await? {
                Followed::Head(head) => {
                    metrics::turn("followed");
                    self.pause = SHORTEST_PAUSE;
                    self.pilot.head(head).map_err(FetchError::from)?;
                }
                // What is kept must not keep the buffer that it came in.
                Followed::Piece(piece) => {
                    let piece = Bytes::copy_from_slice(&piece);
                    self.pilot.piece(piece).map_err(FetchError::from)?;
                }
                Followed::Stored(copy) => {
                    let key = Key::new(copy.blob).map_err(FetchError::ours)?;
                    let stored = Stored { key, size_bytes: copy.size_bytes };
                    self.pilot.check_whole(&stored).map_err(FetchError::from)?;
                    return Ok(stored);
                }
            }
        }
    }

    /// The next event. An instance that is silent is alive for as long as it has its claim.
    async fn next(&self, following: &mut Following) -> Result<Followed, Unfollowed> {
        loop {
            if let Ok(event) = timeout(CLAIM_TTL, following.next()).await {
                return event.unwrap_or(Err(FollowError::Lost)).map_err(to_unfollowed);
            }
            if let Claimed::Ours(claim) = self.cluster.claim(&self.request.mxc).await {
                claim.release_untouched().await;
                return Err(Unfollowed::Lost);
            }
        }
    }
}

fn to_unfollowed(error: FollowError) -> Unfollowed {
    match error {
        FollowError::Lost => Unfollowed::Lost,
        // Nobody is to be blamed here: that instance knows the origin, we do not.
        FollowError::Failed(failure) => Unfollowed::Failed(FetchError::ours(failure)),
    }
}

fn others_are_late() -> FetchError {
    FetchError::ours(Failure::unavailable("another instance takes too long to fetch this"))
}
