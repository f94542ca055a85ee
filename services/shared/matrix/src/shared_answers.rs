//! What homeservers said of tokens, as all instances share it, and who was logged out.
//!
//! Digests stand for tokens. Whoever can write to the shared state can say who a token belongs
//! to, as whoever can read the answers of the homeserver can. That the state is out of reach
//! costs questions, nothing else.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use heliograph_leases::{State, StateError, Subscription};
use heliograph_types::{ServerName, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal, Requester,
    logged_out::LoggedOut,
    memory::{Memory, Remembered},
    token::PresentedKey,
};

/// Where logouts are told.
const TOPIC: &str = "tokens";
/// How long to wait before trying again to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// An answer in the shared state.
#[derive(Serialize, Deserialize)]
struct SharedAnswer {
    until: Timestamp,
    /// By name: another instance may have its homeservers in another order.
    knew: Option<ServerName>,
    said: Said,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Requester { user_id: UserId, device_id: Option<String>, is_application_service: bool, is_guest: bool },
    Refusal { status: u16, body: String, retry_after: Option<Duration> },
}

/// The answers that instances share.
pub(crate) struct SharedAnswers {
    state: State,
    server_names: Vec<ServerName>,
    /// No answer is believed longer.
    longest_ttl: Duration,
}

impl SharedAnswers {
    pub(crate) fn new(state: State, server_names: Vec<ServerName>, longest_ttl: Duration) -> Self {
        Self { state, server_names, longest_ttl }
    }

    /// What another instance was told, if it is still to be believed.
    pub(crate) async fn find(&self, key: &PresentedKey, now: Timestamp) -> Option<Remembered> {
        self.try_find(key, now).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "answers about tokens are not shared");
            None
        })
    }

    async fn try_find(&self, key: &PresentedKey, now: Timestamp) -> Result<Option<Remembered>, StateError> {
        let value = self.state.find_cached(&answer_key(key)).await?;
        let Some(found) = value.and_then(|value| self.decode(&value, now)) else { return Ok(None) };
        // After the answer was read: whoever logs out marks that before it returns.
        Ok(if self.is_outdated(key, &found).await? { None } else { Some(found) })
    }

    /// Whether the token, or its user, was logged out while the answer could be believed. When
    /// exactly does not count: the clocks of two machines need not agree.
    async fn is_outdated(&self, key: &PresentedKey, found: &Remembered) -> Result<bool, StateError> {
        let token = LoggedOut::Token(key.token);
        let user = found.answer.as_ref().ok().map(|requester| LoggedOut::User(requester.user_id.clone()));
        for who in [Some(token), user].into_iter().flatten() {
            if self.state.find_cached(&marker_key(&who)).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells the others.
    pub(crate) async fn store(&self, key: &PresentedKey, answer: &Remembered, now: Timestamp) {
        let ttl = answer.until.since(now);
        let Some(value) = self.encode(answer).filter(|_| !ttl.is_zero()) else { return };
        ignore_failure(self.state.cache(&answer_key(key), value, ttl).await);
    }

    /// From now on, nothing that was shared before is found. What others are asking now, they
    /// may still share: it is believed no longer than the marker stands.
    pub(crate) async fn mark(&self, who: &LoggedOut) {
        ignore_failure(self.state.cache(&marker_key(who), Bytes::from_static(b"1"), self.longest_ttl).await);
        if let LoggedOut::Token(token) = *who {
            // Markers may be forgotten, as everything in the state.
            ignore_failure(self.state.forget(&answer_key(&PresentedKey { token, whole: token })).await);
        }
    }

    /// Makes every instance forget.
    pub(crate) async fn announce(&self, who: &LoggedOut) {
        ignore_failure(self.state.publish(TOPIC, &who.to_string()).await);
    }

    fn encode(&self, answer: &Remembered) -> Option<Bytes> {
        let said = match answer.answer.clone() {
            Ok(Requester { user_id, device_id, is_application_service, is_guest }) => {
                Said::Requester { user_id, device_id, is_application_service, is_guest }
            }
            Err(Refusal { status, body, retry_after }) => {
                Said::Refusal { status, body: String::from_utf8(body.into()).ok()?, retry_after }
            }
        };
        let knew = answer.knew.map(|index| self.server_names[index].clone());
        serde_json::to_vec(&SharedAnswer { until: answer.until, knew, said }).ok().map(Bytes::from)
    }

    /// `None` if it is over, of another version of us, or of a homeserver that we do not ask.
    fn decode(&self, value: &[u8], now: Timestamp) -> Option<Remembered> {
        let SharedAnswer { until, knew, said } = serde_json::from_slice(value).ok()?;
        let index_of = |name: ServerName| self.server_names.iter().position(|known| *known == name);
        let knew = match knew {
            Some(name) => Some(index_of(name)?),
            None => None,
        };
        let answer = match said {
            Said::Requester { user_id, device_id, is_application_service, is_guest } => {
                index_of(user_id.server_name()).filter(|index| knew == Some(*index))?;
                Ok(Requester { user_id, device_id, is_application_service, is_guest })
            }
            Said::Refusal { status, body, retry_after } => Err(Refusal { status, body: body.into(), retry_after }),
        };
        // The clock of who asked may be far ahead of ours.
        let until = until.min(now + self.longest_ttl);
        (now < until).then_some(Remembered { answer, until, knew })
    }
}

/// Forgets what other instances say was logged out; never returns.
pub(crate) async fn listen(state: State, memory: Arc<Memory>) {
    loop {
        match state.subscribe(TOPIC).await {
            Ok(logouts) => hear(logouts, &memory).await,
            Err(error) => tracing::debug!(%error, "logouts of other instances are not heard"),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn hear(mut logouts: Subscription, memory: &Memory) {
    // What was said before we listened, we have missed.
    memory.clear();
    loop {
        // Messages may have been lost, or another version speaks: who is meant, nobody knows.
        match logouts.next().await.and_then(|message| message.parse().ok()) {
            Some(who) => memory.forget(&who),
            None => memory.clear(),
        }
    }
}

fn answer_key(key: &PresentedKey) -> String {
    format!("token:{}", hex::encode(key.whole))
}

fn marker_key(who: &LoggedOut) -> String {
    format!("logged-out:{who}")
}

fn ignore_failure(outcome: Result<(), StateError>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "answers about tokens are not shared");
    }
}

#[cfg(test)]
mod tests {
    use heliograph_leases::EmbeddedState;
    use heliograph_types::SystemClock;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const MINUTE: Duration = Duration::from_mins(1);

    fn shared_by(names: &[&str]) -> SharedAnswers {
        let state = Arc::new(EmbeddedState::in_memory(Arc::new(SystemClock)).unwrap());
        SharedAnswers::new(state, names.iter().map(|name| name.parse().unwrap()).collect(), MINUTE)
    }

    fn bob(until: Timestamp) -> Remembered {
        let user_id = "@bob:b.example".parse().unwrap();
        let requester = Requester { user_id, device_id: None, is_application_service: true, is_guest: false };
        Remembered { answer: Ok(requester), until, knew: Some(1) }
    }

    #[test]
    fn homeservers_may_be_in_another_order_elsewhere() {
        let (here, there) = (shared_by(&["a.example", "b.example"]), shared_by(&["b.example"]));

        let value = here.encode(&bob(NOW + MINUTE)).unwrap();

        assert_eq!(here.decode(&value, NOW), Some(bob(NOW + MINUTE)));
        assert_eq!(there.decode(&value, NOW), Some(Remembered { knew: Some(0), ..bob(NOW + MINUTE) }));
        assert_eq!(shared_by(&["a.example"]).decode(&value, NOW), None, "not ours");
    }

    #[test]
    fn refusals_are_shared_with_everything_that_clients_are_to_see() {
        let shared = shared_by(&["a.example"]);
        let retry_after = Some(Duration::from_millis(1_500));
        let refusal = Refusal { status: 401, body: Bytes::from_static(br#"{"soft_logout":true}"#), retry_after };
        let refused = Remembered { answer: Err(refusal), until: NOW + MINUTE, knew: None };

        let value = shared.encode(&refused).unwrap();

        assert_eq!(shared.decode(&value, NOW), Some(refused));
    }

    #[test]
    fn a_clock_that_is_ahead_makes_nothing_last_longer() {
        let shared = shared_by(&["a.example", "b.example"]);

        let value = shared.encode(&bob(NOW + 60 * MINUTE)).unwrap();

        assert_eq!(shared.decode(&value, NOW), Some(bob(NOW + MINUTE)));
        assert_eq!(shared.decode(&value, NOW + 60 * MINUTE), None);
    }

    #[test]
    fn nonsense_and_answers_for_users_of_others_are_not_believed() {
        let shared = shared_by(&["a.example", "b.example"]);
        let mut forged = bob(NOW + MINUTE);
        forged.knew = Some(0);

        let value = shared.encode(&forged).unwrap();

        assert_eq!(shared.decode(&value, NOW), None);
        for nonsense in ["", "{}", "1", r#"{"until":99999,"knew":null,"said":{"something_new":{}}}"#] {
            assert_eq!(shared.decode(nonsense.as_bytes(), NOW), None, "{nonsense}");
        }
    }
}
