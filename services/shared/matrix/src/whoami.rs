//! Asking homeservers who a token belongs to (`account/whoami`), and remembering briefly.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use heliograph_types::{Clock, ServerName, Timestamp};
use lru::LruCache;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};
use url::Url;

use crate::{
    AuthError, Flights, Presented, Refusal, Requester, TokenChecker, metrics,
    whoami_request::{Opinion, ask},
};

/// How long a refusal is believed: a new token must not seem unknown for long.
const REFUSAL_TTL: Duration = Duration::from_secs(5);

/// One homeserver, as it is reached from here.
#[derive(Debug, Clone)]
pub struct Homeserver {
    /// Its users end in this.
    pub server_name: ServerName,
    /// Base URL of its client API.
    pub url: Url,
    /// Asks it.
    pub client: reqwest::Client,
    /// How long its answers are believed.
    pub token_ttl: Duration,
    /// Questions that may be open at once.
    pub max_open_questions: NonZeroUsize,
}

type Digest = [u8; 32];
type Answer = Result<Requester, AuthError>;

#[derive(Debug)]
struct Remembered {
    answer: Result<Requester, Refusal>,
    until: Timestamp,
    /// Which homeserver knew the token, if one did: the first to be asked again.
    knew: Option<usize>,
}

/// Asks homeservers.
pub struct Whoami {
    homeservers: Vec<Homeserver>,
    /// Room for questions, by homeserver.
    rooms: Vec<Arc<Semaphore>>,
    clock: Arc<dyn Clock>,
    /// Where questions are asked: their connections are kept for the next, and outlive the
    /// runtimes of callers.
    runtime: Handle,
    remembered: Mutex<LruCache<Digest, Remembered>>,
    flights: Flights<Digest, Answer>,
}

impl fmt::Debug for Whoami {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whoami").field("homeservers", &self.homeservers).finish_non_exhaustive()
    }
}

impl Whoami {
    /// Asks `homeservers` on `runtime`, and remembers the answers about so many tokens.
    pub fn new(
        homeservers: Vec<Homeserver>,
        max_remembered_tokens: NonZeroUsize,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        let remembered = Mutex::new(LruCache::new(max_remembered_tokens));
        let permits = |homeserver: &Homeserver| homeserver.max_open_questions.get().min(Semaphore::MAX_PERMITS);
        let rooms = homeservers.iter().map(|homeserver| Arc::new(Semaphore::new(permits(homeserver)))).collect();
        Self { homeservers, rooms, clock, runtime, remembered, flights: Flights::default() }
    }

    fn remembered(&self) -> MutexGuard<'_, LruCache<Digest, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_remembered(&self, digest: &Digest) -> Option<Answer> {
        let now = self.clock.now();
        let mut remembered = self.remembered();
        let known = remembered.get(digest).filter(|known| now < known.until)?;
        Some(known.answer.clone().map_err(AuthError::Refused))
    }

    async fn ask_and_remember(&self, presented: &Presented, digest: Digest) -> Answer {
        let knew = self.remembered().peek(&digest).and_then(|remembered| remembered.knew);
        let (knows, answer) = self.ask_all(presented, knew).await;
        let ttl = knows.map_or(REFUSAL_TTL, |index| self.homeservers[index].token_ttl);
        let (answer, ttl) = match answer {
            Ok(requester) => (Ok(requester), ttl),
            // "Too much" is about now, not about the token.
            Err(AuthError::Refused(refusal)) if refusal.status != 429 => (Err(refusal), REFUSAL_TTL),
            other => return other,
        };
        let entry = Remembered { answer: answer.clone(), until: self.clock.now() + ttl, knew: knows };
        self.remembered().put(digest, entry);
        answer.map_err(AuthError::Refused)
    }

    /// Asks until one knows the token, and tells which: the one that `knew` it alone, then all
    /// others at once, so that one that hangs delays no users but its own. The token is
    /// unknown only if all of them said so.
    async fn ask_all(&self, presented: &Presented, knew: Option<usize>) -> (Option<usize>, Answer) {
        let others = (0..self.homeservers.len()).filter(|index| Some(*index) != knew);
        let mut verdict = None;
        for round in [knew.into_iter().collect(), others.collect::<Vec<_>>()] {
            if let Some((index, answer)) = self.ask_at_once(presented, round, &mut verdict).await {
                return (Some(index), answer.map_err(AuthError::Refused));
            }
        }
        let nobody = || AuthError::Unavailable("no homeserver is configured".to_owned());
        (None, Err(verdict.unwrap_or_else(nobody)))
    }

    /// The first answer of one that knows the token; what the others say goes into `verdict`.
    /// Questions end when nobody waits for their answers any more.
    async fn ask_at_once(
        &self,
        presented: &Presented,
        round: Vec<usize>,
        verdict: &mut Option<AuthError>,
    ) -> Option<(usize, Result<Requester, Refusal>)> {
        let mut questions = JoinSet::new();
        for index in round {
            questions.spawn_on(self.question(index, presented), &self.runtime);
        }
        while let Some(answer) = questions.join_next().await {
            let lost = |_| (0, Opinion::Unavailable("the question was not finished".to_owned()));
            let error = match answer.unwrap_or_else(lost) {
                (index, Opinion::Known(answer)) => return Some((index, answer)),
                (_, Opinion::Unknown(refusal) | Opinion::Busy(refusal)) => AuthError::Refused(refusal),
                (_, Opinion::Unavailable(reason)) => AuthError::Unavailable(reason),
            };
            if verdict.as_ref().is_none_or(|verdict| rank(verdict) < rank(&error)) {
                *verdict = Some(error);
            }
        }
        None
    }

    /// What one homeserver says, if there is room for the question.
    fn question(&self, index: usize, presented: &Presented) -> impl Future<Output = (usize, Opinion)> + Send + use<> {
        let room = Arc::clone(&self.rooms[index]).try_acquire_owned();
        let (homeserver, presented, now) = (self.homeservers[index].clone(), presented.clone(), self.clock.now());
        async move {
            let opinion = if room.is_ok() {
                ask(&homeserver, &presented, now).await
            } else {
                metrics::whoami_limited();
                Opinion::Unavailable("too many questions are open".to_owned())
            };
            drop(room);
            if let Opinion::Unavailable(reason) = &opinion {
                tracing::warn!(homeserver = %homeserver.server_name, reason, "whoami failed");
            }
            (index, opinion)
        }
    }
}

/// "Too much" outranks not knowing, and that outranks "unknown token".
fn rank(error: &AuthError) -> u8 {
    match error {
        AuthError::Refused(Refusal { status: 429, .. }) => 2,
        AuthError::Unavailable(_) => 1,
        AuthError::Refused(_) => 0,
    }
}

#[async_trait]
impl TokenChecker for Whoami {
    async fn check(&self, presented: &Presented) -> Answer {
        // Such a token cannot even be asked about; nobody can have given it out.
        if !presented.token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AuthError::Refused(Refusal::unknown_token()));
        }
        let digest = presented.digest();
        if let Some(answer) = self.find_remembered(&digest) {
            return answer;
        }
        self.flights.join(digest, || self.ask_and_remember(presented, digest)).await
    }
}
