//! One question to one homeserver, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use heliograph_types::{Timestamp, UserId};
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;
use url::Url;

use crate::{Homeserver, Presented, Reason, Refusal, Requester, client::read_body, well_known::read_date};

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

#[derive(Deserialize)]
struct ErrorAnswer {
    errcode: String,
}

struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Reply {
    fn errcode(&self) -> Option<String> {
        serde_json::from_slice(&self.body).ok().map(|ErrorAnswer { errcode }| errcode)
    }
}

/// Asks who presents this; an old homeserver by its old path.
pub(crate) async fn ask(homeserver: &Homeserver, presented: &Presented, now: Timestamp) -> Opinion {
    let mut reply = send(homeserver, presented, "v3", now).await;
    let unrecognized = |reply: &Reply| reply.errcode().as_deref() == Some("M_UNRECOGNIZED");
    if reply.as_ref().is_ok_and(unrecognized) {
        reply = send(homeserver, presented, "r0", now).await;
    }
    match reply {
        Ok(reply) => judge(homeserver, reply),
        Err(reason) => Opinion::Unavailable(reason),
    }
}

async fn send(homeserver: &Homeserver, presented: &Presented, version: &str, now: Timestamp) -> Result<Reply, String> {
    let url = whoami_url(&homeserver.url, version, presented);
    let request = homeserver.client.get(url).bearer_auth(presented.token.expose());
    let response = request.send().await.map_err(|error| Reason(&error).to_string())?;
    let (status, retry_after) = (response.status(), read_retry_after(response.headers(), now));
    let body = read_body(response, MOST_ANSWER_BYTES).await.map_err(|error| error.to_string())?;
    Ok(Reply { status, retry_after, body })
}

fn whoami_url(base: &Url, version: &str, presented: &Presented) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/_matrix/client/{version}/account/whoami"));
    url.set_query(None);
    for (name, value) in [("user_id", &presented.user_id), ("device_id", &presented.device_id)] {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

/// `Retry-After`, in seconds or as a date.
pub fn read_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| read_date(text).map(|date| date.since(now)))
}

fn judge(homeserver: &Homeserver, reply: Reply) -> Opinion {
    let status = reply.status;
    if status == StatusCode::OK {
        return judge_requester(homeserver, &reply.body);
    }
    let errcode = reply.errcode();
    let refusal = Refusal { status: status.as_u16(), body: reply.body, retry_after: reply.retry_after };
    match (status.as_u16(), errcode.as_deref()) {
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

fn judge_requester(homeserver: &Homeserver, body: &[u8]) -> Opinion {
    match serde_json::from_slice::<WhoamiAnswer>(body) {
        Ok(WhoamiAnswer { user_id, device_id, is_guest, unstable_is_guest })
            if user_id.server_name() == homeserver.server_name =>
        {
            let is_guest = is_guest.or(unstable_is_guest).unwrap_or(false);
            Opinion::Known(Ok(Requester { user_id, device_id, is_guest }))
        }
        // Nobody may vouch for another server's users: whoever that is, here it is nobody.
        Ok(WhoamiAnswer { user_id, .. }) => {
            tracing::warn!(homeserver = %homeserver.server_name, %user_id, "a token is not of one of its users");
            Opinion::Unknown(Refusal::unknown_token())
        }
        Err(error) => Opinion::Unavailable(format!("its answer cannot be read: {error}")),
    }
}
