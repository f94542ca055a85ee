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
use url::Url;

use crate::{
    AuthError, Flights, Presented, Refusal, Requester, TokenChecker,
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
}

type Digest = [u8; 32];
type Answer = Result<Requester, AuthError>;

#[derive(Debug)]
struct Remembered {
    answer: Result<Requester, Refusal>,
    until: Timestamp,
    /// Which homeserver knew the token: the first to be asked again.
    homeserver: usize,
}

/// Asks homeservers.
pub struct Whoami {
    homeservers: Vec<Homeserver>,
    clock: Arc<dyn Clock>,
    remembered: Mutex<LruCache<Digest, Remembered>>,
    flights: Flights<Digest, Answer>,
}

impl fmt::Debug for Whoami {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whoami").field("homeservers", &self.homeservers).finish_non_exhaustive()
    }
}

impl Whoami {
    /// Asks `homeservers`, and remembers the answers about so many tokens.
    pub fn new(homeservers: Vec<Homeserver>, max_remembered_tokens: NonZeroUsize, clock: Arc<dyn Clock>) -> Self {
        let remembered = Mutex::new(LruCache::new(max_remembered_tokens));
        Self { homeservers, clock, remembered, flights: Flights::default() }
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
        let first = self.remembered().peek(&digest).map_or(0, |known| known.homeserver);
        let (homeserver, answer) = self.ask_all(presented, first).await;
        let (answer, ttl) = match answer {
            Ok(requester) => (Ok(requester), self.homeservers[homeserver].token_ttl),
            // "Too much" is about now, not about the token.
            Err(AuthError::Refused(refusal)) if refusal.status != 429 => (Err(refusal), REFUSAL_TTL),
            other => return other,
        };
        let entry = Remembered { answer: answer.clone(), until: self.clock.now() + ttl, homeserver };
        self.remembered().put(digest, entry);
        answer.map_err(AuthError::Refused)
    }

    /// Asks one after the other, beginning with `first`, until one knows the token. It is
    /// unknown only if all of them said so.
    async fn ask_all(&self, presented: &Presented, first: usize) -> (usize, Answer) {
        let mut verdict = None;
        let count = self.homeservers.len();
        for index in (0..count).map(|step| (first + step) % count) {
            let opinion = ask(&self.homeservers[index], presented, self.clock.now()).await;
            match opinion {
                Opinion::Known(answer) => return (index, answer.map_err(AuthError::Refused)),
                Opinion::Unknown(refusal) => {
                    verdict.get_or_insert(AuthError::Refused(refusal));
                }
                Opinion::Busy(refusal) => verdict = Some(AuthError::Refused(refusal)),
                Opinion::Unavailable(reason) => {
                    tracing::warn!(homeserver = %self.homeservers[index].server_name, reason, "whoami failed");
                    return_busy_or(&mut verdict, AuthError::Unavailable(reason));
                }
            }
        }
        let nobody = || AuthError::Unavailable("no homeserver is configured".to_owned());
        (first, Err(verdict.unwrap_or_else(nobody)))
    }
}

/// Not knowing outranks "unknown token"; it does not outrank "too much".
fn return_busy_or(verdict: &mut Option<AuthError>, unavailable: AuthError) {
    if !matches!(verdict, Some(AuthError::Refused(Refusal { status: 429, .. }))) {
        *verdict = Some(unavailable);
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
