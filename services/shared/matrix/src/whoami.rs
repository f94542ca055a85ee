//! Asking homeservers who a token belongs to (`account/whoami`), and remembering briefly.

use std::{
    cmp::max,
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use heliograph_leases::State;
use heliograph_types::{Clock, Secret, ServerName, UserId};
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use url::Url;

use crate::{
    AuthError, Flights, Presented, Refusal, Requester, TokenChecker,
    logged_out::LoggedOut,
    memory::{Generation, Memory, Remembered},
    metrics,
    shared_answers::{SharedAnswers, listen},
    token::{PresentedKey, digest_of, is_sendable},
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
    /// Questions about tokens that may be open at once, and as many of other kinds.
    pub max_open_questions: NonZeroUsize,
    /// The token of an administrator of it.
    pub admin_token: Option<Secret<String>>,
}

impl Homeserver {
    pub(crate) fn new_room(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.max_open_questions.get().min(Semaphore::MAX_PERMITS)))
    }
}

/// What [`Whoami`] needs besides homeservers.
pub struct WhoamiDeps {
    /// Tokens whose answers are remembered by this process.
    pub max_remembered_tokens: NonZeroUsize,
    /// What instances share: answers, and who was logged out.
    pub state: State,
    /// Tells how long to believe answers.
    pub clock: Arc<dyn Clock>,
    /// Where questions are asked: their connections are kept for the next, and outlive the
    /// runtimes of callers.
    pub runtime: Handle,
    /// One task, which hears of logouts, runs in these.
    pub tasks: TaskTracker,
    /// Ends that task.
    pub shutdown: CancellationToken,
}

type Answer = Result<Requester, AuthError>;

/// Asks homeservers.
pub struct Whoami {
    homeservers: Vec<Homeserver>,
    /// Room for questions, by homeserver.
    rooms: Vec<Arc<Semaphore>>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    memory: Arc<Memory>,
    shared: SharedAnswers,
    /// What is asked after a logout does not join what was asked before.
    flights: Flights<(PresentedKey, Generation), Answer>,
}

impl fmt::Debug for Whoami {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whoami").field("homeservers", &self.homeservers).finish_non_exhaustive()
    }
}

impl Whoami {
    /// Asks `homeservers`, and remembers what they say.
    pub fn new(homeservers: Vec<Homeserver>, deps: WhoamiDeps) -> Self {
        let WhoamiDeps { max_remembered_tokens, state, clock, runtime, tasks, shutdown } = deps;
        let memory = Arc::new(Memory::new(max_remembered_tokens));
        let listener = listen(State::clone(&state), Arc::clone(&memory));
        tasks.spawn_on(async move { shutdown.run_until_cancelled(listener).await }, &runtime);
        let longest_ttl = homeservers.iter().map(|homeserver| homeserver.token_ttl).fold(REFUSAL_TTL, max);
        let server_names = homeservers.iter().map(|homeserver| homeserver.server_name.clone()).collect();
        let shared = SharedAnswers::new(state, server_names, longest_ttl);
        let rooms = homeservers.iter().map(Homeserver::new_room).collect();
        Self { homeservers, rooms, clock, runtime, memory, shared, flights: Flights::default() }
    }

    /// What another instance was told, or else what the homeservers say.
    async fn find_out(&self, presented: &Presented, key: PresentedKey, asked_in: Generation) -> Answer {
        if let Some(shared) = self.shared.find(&key, self.clock.now()).await {
            let answer = shared.answer();
            self.memory.remember(key, shared, asked_in);
            return answer;
        }
        let asked_at = self.clock.now();
        let (knew, answer) = self.ask_all(presented, self.memory.who_knew(&key)).await;
        let Some((answer, ttl)) = self.worth_remembering(knew, &answer) else { return answer };
        let remembered = Remembered { answer, until: asked_at + ttl, knew };
        if self.memory.remember(key, remembered.clone(), asked_in) {
            self.shared.store(&key, &remembered, self.clock.now()).await;
        }
        remembered.answer()
    }

    fn worth_remembering(
        &self,
        knew: Option<usize>,
        answer: &Answer,
    ) -> Option<(Result<Requester, Refusal>, Duration)> {
        match answer {
            Ok(requester) => Some((Ok(requester.clone()), self.homeservers[knew?].token_ttl)),
            // "Too much" is about now, not about the token.
            Err(AuthError::Refused(refusal)) if refusal.status != 429 => Some((Err(refusal.clone()), REFUSAL_TTL)),
            Err(_) => None,
        }
    }

    /// Returns when nobody finds in the state, or remembers here, what was said before.
    async fn log_out(&self, who: LoggedOut) {
        self.memory.forget(&who);
        self.shared.mark(&who).await;
        // Once more: before it was marked, what we had shared could be found again.
        self.memory.forget(&who);
        self.shared.announce(&who).await;
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
            questions.spawn_on(self.question(index, presented).in_current_span(), &self.runtime);
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
                let begun = Instant::now();
                let opinion = ask(&homeserver, &presented, now).await;
                metrics::homeserver_asked("whoami", !matches!(opinion, Opinion::Unavailable(_)), begun.elapsed());
                opinion
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
        // Such a token cannot even be asked about.
        if !is_sendable(&presented.token) {
            return Err(AuthError::Refused(Refusal::unknown_token()));
        }
        let (key, generation) = (presented.key(), self.memory.generation());
        if let Some(known) = self.memory.find(&key, self.clock.now()) {
            return known.answer();
        }
        self.flights.join((key, generation), || self.find_out(presented, key, generation)).await
    }

    async fn forget(&self, token: &Secret<String>) {
        self.log_out(LoggedOut::Token(digest_of(token))).await;
    }

    async fn forget_user(&self, user_id: &UserId) {
        self.log_out(LoggedOut::User(user_id.clone())).await;
    }
}
