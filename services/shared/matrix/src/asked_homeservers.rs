//! Asking real homeservers what else there is to know.
//!
//! Has room of its own for questions, as much as there is for those about tokens: whoever asks
//! for versions without a token keeps nobody from being known.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use heliograph_types::{Clock, Secret, ServerName, UserId};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::{
    AuthError, Homeserver, Homeservers, Presented, Reason, Refusal, Reply, WellKnownFile, metrics,
    recent::Recent,
    reply::endpoint,
    spans::send_traced,
    token::{Digest, is_sendable},
};

const MOST_ANSWER_BYTES: usize = 64 << 10;
const MOST_WELL_KNOWN_BYTES: usize = 50 << 10;

/// Answers about administrators and suspensions that are remembered, about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How long somebody stays an administrator for us.
const ADMIN_TTL: Duration = Duration::from_secs(30);

/// Only administrators may ask about this user, who need not exist.
const PROBE: &str = "media.repo.admin.check";

/// Asks homeservers.
pub struct AskedHomeservers {
    homeservers: Vec<(Homeserver, Arc<Semaphore>)>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    admins: Recent<Digest>,
    suspended: Recent<UserId>,
}

impl fmt::Debug for AskedHomeservers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskedHomeservers").field("homeservers", &self.homeservers).finish_non_exhaustive()
    }
}

/// One request.
struct Question<'a> {
    method: Method,
    path: &'a [&'a str],
    token: Option<&'a Secret<String>>,
    most_bytes: usize,
}

impl<'a> Question<'a> {
    const fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, token: None, most_bytes: MOST_ANSWER_BYTES }
    }

    fn with_token(self, token: &'a Secret<String>) -> Self {
        Self { token: Some(token), ..self }
    }

    fn request(&self, homeserver: &Homeserver) -> RequestBuilder {
        let request = homeserver.client.request(self.method.clone(), endpoint(&homeserver.url, self.path));
        match self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }
}

#[derive(Deserialize)]
struct AdminAnswer {
    admin: bool,
}

#[derive(Deserialize)]
struct SuspendedAnswer {
    // Old homeservers know no suspension.
    #[serde(default)]
    suspended: bool,
}

impl AskedHomeservers {
    /// Asks `homeservers` on `runtime`, where connections are kept for the next question.
    pub fn new(homeservers: Vec<Homeserver>, clock: Arc<dyn Clock>, runtime: Handle) -> Self {
        let with_room = |homeserver: Homeserver| {
            let room = homeserver.new_room();
            (homeserver, room)
        };
        let homeservers = homeservers.into_iter().map(with_room).collect();
        let admins = Recent::new(REMEMBERED, Arc::clone(&clock));
        let suspended = Recent::new(REMEMBERED, Arc::clone(&clock));
        Self { homeservers, clock, runtime, admins, suspended }
    }

    fn find(&self, server_name: &ServerName) -> Option<&(Homeserver, Arc<Semaphore>)> {
        self.homeservers.iter().find(|(homeserver, _)| homeserver.server_name == *server_name)
    }

    /// What a homeserver says, if there is room for the question, which ends when nobody waits
    /// for its answer any more.
    async fn ask(&self, server_name: &ServerName, question: Question<'_>) -> Result<Reply, AuthError> {
        let unknown = || unavailable(format!("no homeserver of {server_name} is configured"));
        let (homeserver, room) = self.find(server_name).ok_or_else(unknown)?;
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            metrics::homeserver_limited();
            return Err(unavailable("too many questions are open"));
        };
        let (request, most_bytes, now) = (question.request(homeserver), question.most_bytes, self.clock.now());
        let exchange = async move {
            let _permit = permit;
            let response = send_traced(request).await.map_err(|error| unavailable(Reason(&error)))?;
            Reply::read(response, most_bytes, now).await.map_err(unavailable)
        };
        let begun = Instant::now();
        let exchanged = AbortOnDropHandle::new(self.runtime.spawn(exchange.in_current_span())).await;
        metrics::homeserver_asked("other", matches!(exchanged, Ok(Ok(_))), begun.elapsed());
        let reply = exchanged.map_err(|_| unavailable("the question was not finished"))??;
        if matches!(reply.status, 300..400 | 500..) { Err(unexpected(&reply)) } else { Ok(reply) }
    }

    /// By Synapse's own endpoint, or by what only administrators may do elsewhere.
    async fn ask_is_admin(&self, user: &UserId, token: &Secret<String>) -> Result<bool, AuthError> {
        let path = ["_synapse", "admin", "v1", "users", user.as_str(), "admin"];
        let reply = self.ask(&user.server_name(), Question::get(&path).with_token(token)).await?;
        match reply.status {
            _ if lacks_endpoint(&reply) => self.may_ask_whois(user, token).await,
            200 => read_json(&reply).map(|AdminAnswer { admin }| admin),
            429 => Err(AuthError::Refused(reply.into_refusal())),
            _ => Ok(false),
        }
    }

    async fn may_ask_whois(&self, user: &UserId, token: &Secret<String>) -> Result<bool, AuthError> {
        let server_name = user.server_name();
        let probe = format!("@{PROBE}:{server_name}");
        // Everybody may ask about themselves, so whoever takes that name is no administrator.
        if user.as_str() == probe {
            return Ok(false);
        }
        let path = ["_matrix", "client", "v3", "admin", "whois", &probe];
        let reply = self.ask(&server_name, Question::get(&path).with_token(token)).await?;
        match reply.status {
            429 => Err(AuthError::Refused(reply.into_refusal())),
            status => Ok(status == 200),
        }
    }

    /// By Synapse's own endpoint, or by that of the specification (MSC4323).
    async fn ask_is_suspended(&self, user: &UserId, admin_token: &Secret<String>) -> Result<bool, AuthError> {
        let path = ["_synapse", "admin", "v2", "users", user.as_str()];
        let reply = self.ask(&user.server_name(), Question::get(&path).with_token(admin_token)).await?;
        match reply.status {
            200 => read_json(&reply).map(|SuspendedAnswer { suspended }| suspended),
            401 | 403 => Err(unavailable(format!("it refuses homeserver.admin_token with {}", reply.status))),
            _ if reply.status == 404 || lacks_endpoint(&reply) => self.ask_whether_suspended(user, admin_token).await,
            _ => Err(unexpected(&reply)),
        }
    }

    async fn ask_whether_suspended(&self, user: &UserId, admin_token: &Secret<String>) -> Result<bool, AuthError> {
        let path = ["_matrix", "client", "v1", "admin", "suspend", user.as_str()];
        let reply = self.ask(&user.server_name(), Question::get(&path).with_token(admin_token)).await?;
        match reply.status {
            200 => read_json(&reply).map(|SuspendedAnswer { suspended }| suspended),
            429 => Err(unexpected(&reply)),
            // Who does not tell of suspensions has none.
            _ => Ok(false),
        }
    }
}

/// Whether a homeserver, or what stands before it, knows no such endpoint; a user that is not
/// found is something else.
fn lacks_endpoint(reply: &Reply) -> bool {
    reply.is_unrecognized() || (matches!(reply.status, 404 | 405) && reply.errcode().is_none())
}

fn read_json<T: DeserializeOwned>(reply: &Reply) -> Result<T, AuthError> {
    serde_json::from_slice(&reply.body).map_err(|error| unavailable(format!("its answer cannot be read: {error}")))
}

fn unexpected(reply: &Reply) -> AuthError {
    unavailable(format!("it answered with {}", reply.status))
}

fn unavailable(reason: impl fmt::Display) -> AuthError {
    AuthError::Unavailable(reason.to_string())
}

fn require_sendable(token: &Secret<String>) -> Result<(), AuthError> {
    if is_sendable(token) { Ok(()) } else { Err(AuthError::Refused(Refusal::unknown_token())) }
}

#[async_trait]
impl Homeservers for AskedHomeservers {
    async fn versions(&self, server_name: &ServerName, token: Option<&Secret<String>>) -> Result<Reply, AuthError> {
        let token = token.filter(|token| is_sendable(token));
        let question = Question { token, ..Question::get(&["_matrix", "client", "versions"]) };
        self.ask(server_name, question).await
    }

    async fn well_known(&self, server_name: &ServerName, which: WellKnownFile) -> Result<Option<Reply>, AuthError> {
        let path = [".well-known", "matrix", which.name()];
        let question = Question { most_bytes: MOST_WELL_KNOWN_BYTES, ..Question::get(&path) };
        let reply = self.ask(server_name, question).await?;
        match reply.status {
            200 => Ok(Some(reply)),
            404 => Ok(None),
            _ => Err(unexpected(&reply)),
        }
    }

    async fn log_out(
        &self,
        server_name: &ServerName,
        token: &Secret<String>,
        everywhere: bool,
    ) -> Result<Reply, AuthError> {
        require_sendable(token)?;
        let send = async |version| {
            let path = ["_matrix", "client", version, "logout", "all"];
            let path = if everywhere { &path[..] } else { &path[..4] };
            self.ask(server_name, Question { method: Method::POST, ..Question::get(path).with_token(token) }).await
        };
        let reply = send("v3").await?;
        if reply.is_unrecognized() { send("r0").await } else { Ok(reply) }
    }

    async fn is_admin(&self, requester: &UserId, token: &Secret<String>) -> Result<bool, AuthError> {
        require_sendable(token)?;
        // An application service may act for several.
        let presented = Presented { token: token.clone(), user_id: Some(requester.to_string()), device_id: None };
        let ask = || self.ask_is_admin(requester, token);
        self.admins.find_or_ask(presented.key().whole, ADMIN_TTL, ask).await
    }

    async fn is_suspended(&self, user: &UserId) -> Result<bool, AuthError> {
        let Some((homeserver, _)) = self.find(&user.server_name()) else { return Ok(false) };
        let Some(admin_token) = &homeserver.admin_token else { return Ok(false) };
        if !is_sendable(admin_token) {
            return Err(unavailable("homeserver.admin_token has characters that no token has"));
        }
        let ask = || self.ask_is_suspended(user, admin_token);
        self.suspended.find_or_ask(user.clone(), homeserver.token_ttl, ask).await
    }
}
