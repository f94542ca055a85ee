//! One question to one homeserver, and what its answer means.

use heliograph_types::{Timestamp, UserId};
use serde::Deserialize;
use url::Url;

use crate::{Homeserver, Presented, Reason, Refusal, Reply, Requester, reply::endpoint, spans::send_traced};

const MOST_ANSWER_BYTES: usize = 64 << 10;

/// What one homeserver says of a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// It knows the token, and may refuse all the same.
    Known(Result<Requester, Refusal>),
    /// It does not know the token.
    Unknown(Refusal),
    /// It did not look: too many questions.
    Busy(Refusal),
    /// It is out of reach or answers nonsense.
    Unavailable(String),
}

#[derive(Deserialize)]
struct WhoamiAnswer {
    user_id: UserId,
    device_id: Option<String>,
    is_guest: Option<bool>,
    #[serde(rename = "org.matrix.msc3069.is_guest")]
    unstable_is_guest: Option<bool>,
}

/// Asks who presents this; an old homeserver by its old path.
pub(crate) async fn ask(homeserver: &Homeserver, presented: &Presented, now: Timestamp) -> Opinion {
    let mut reply = send(homeserver, presented, "v3", now).await;
    if reply.as_ref().is_ok_and(Reply::is_unrecognized) {
        reply = send(homeserver, presented, "r0", now).await;
    }
    match reply {
        Ok(reply) => judge(homeserver, presented, reply),
        Err(reason) => Opinion::Unavailable(reason),
    }
}

async fn send(homeserver: &Homeserver, presented: &Presented, version: &str, now: Timestamp) -> Result<Reply, String> {
    let url = whoami_url(&homeserver.url, version, presented);
    let request = homeserver.client.get(url).bearer_auth(presented.token.expose());
    let response = send_traced(request).await.map_err(|error| Reason(&error).to_string())?;
    Reply::read(response, MOST_ANSWER_BYTES, now).await.map_err(|error| error.to_string())
}

fn whoami_url(base: &Url, version: &str, presented: &Presented) -> Url {
    let mut url = endpoint(base, &["_matrix", "client", version, "account", "whoami"]);
    for (name, value) in [("user_id", &presented.user_id), ("device_id", &presented.device_id)] {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

fn judge(homeserver: &Homeserver, presented: &Presented, reply: Reply) -> Opinion {
    if reply.status == 200 {
        return judge_requester(homeserver, presented, &reply.body);
    }
    let (status, errcode, refusal) = (reply.status, reply.errcode(), reply.into_refusal());
    match (status, errcode.as_deref()) {
        (401, Some("M_UNKNOWN_TOKEN")) if !is_soft_logout(&refusal.body) => Opinion::Unknown(refusal),
        (429, Some(_)) => Opinion::Busy(refusal),
        // An unknown path or a missing token is a fault between us and the homeserver.
        (400 | 401 | 403, Some(errcode)) if !["M_UNRECOGNIZED", "M_MISSING_TOKEN"].contains(&errcode) => {
            Opinion::Known(Err(refusal))
        }
        _ => Opinion::Unavailable(format!("it answered with {status}")),
    }
}

/// Only who knows the token can say that its session goes on (`soft_logout`).
fn is_soft_logout(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct SoftLogout {
        #[serde(default)]
        soft_logout: bool,
    }
    serde_json::from_slice(body).is_ok_and(|SoftLogout { soft_logout }| soft_logout)
}

fn judge_requester(homeserver: &Homeserver, presented: &Presented, body: &[u8]) -> Opinion {
    match serde_json::from_slice::<WhoamiAnswer>(body) {
        Ok(WhoamiAnswer { user_id, device_id, is_guest, unstable_is_guest })
            if user_id.server_name() == homeserver.server_name =>
        {
            let is_guest = is_guest.or(unstable_is_guest).unwrap_or(false);
            // Guests of some homeservers have no device either.
            let is_application_service = presented.user_id.is_some() || (device_id.is_none() && !is_guest);
            Opinion::Known(Ok(Requester { user_id, device_id, is_application_service, is_guest }))
        }
        // Nobody may vouch for another server's users: whoever that is, here it is nobody.
        Ok(WhoamiAnswer { user_id, .. }) => {
            tracing::warn!(homeserver = %homeserver.server_name, %user_id, "a token is not of one of its users");
            Opinion::Unknown(Refusal::unknown_token())
        }
        Err(error) => Opinion::Unavailable(format!("its answer cannot be read: {error}")),
    }
}
