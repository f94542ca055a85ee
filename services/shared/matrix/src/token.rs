//! Who a token belongs to: what every way of finding out has in common.

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::{Secret, UserId};
use sha2::{Digest as _, Sha256};

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The user. Its server name is one of ours.
    pub user_id: UserId,
    /// The device; application services have none.
    pub device_id: Option<String>,
    /// An application service, for itself or for a user: it named a user, or the homeserver
    /// knows no device of the token. Synapse gives administrators tokens without a device
    /// too (logging in as a user): those count as an application service's as well.
    pub is_application_service: bool,
    /// Guests may read and do nothing else.
    pub is_guest: bool,
}

/// What a client presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The bearer token.
    pub token: Secret<String>,
    /// Query parameter `user_id`: whom an application service acts for.
    pub user_id: Option<String>,
    /// Query parameter `device_id`, likewise.
    pub device_id: Option<String>,
}

impl Presented {
    /// A token and nothing else.
    pub fn token(token: impl Into<String>) -> Self {
        Self { token: Secret::new(token.into()), user_id: None, device_id: None }
    }

    /// Stands for all of it in memory, so that no token is kept.
    pub(crate) fn key(&self) -> PresentedKey {
        if self.user_id.is_none() && self.device_id.is_none() {
            let whole = self.digest();
            return PresentedKey { token: whole, whole };
        }
        PresentedKey { token: digest_of(&self.token), whole: self.digest() }
    }

    fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        let parts = [Some(self.token.expose()), self.user_id.as_ref(), self.device_id.as_ref()];
        for part in parts {
            // The length in front tells "ab" + "c" from "a" + "bc", and absent from empty.
            hasher.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            hasher.update(part.map_or("", String::as_str));
        }
        hasher.finalize().into()
    }
}

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// The digest of a token that is presented alone.
pub(crate) fn digest_of(token: &Secret<String>) -> Digest {
    Presented { token: token.clone(), user_id: None, device_id: None }.digest()
}

/// Whether a token can stand in a header. No other can have been given out.
pub(crate) fn is_sendable(token: &Secret<String>) -> bool {
    token.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

/// What stands for something that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PresentedKey {
    /// The digest of the token alone: the same whomever it acts for.
    pub(crate) token: Digest,
    /// The digest of everything.
    pub(crate) whole: Digest,
}

/// An answer of the homeserver that the client is to see as it is: it carries what we do
/// not know, such as `soft_logout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 401, 403 or 429.
    pub status: u16,
    /// A JSON object.
    pub body: Bytes,
    /// `Retry-After`, if it was there.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// What a homeserver would say of a token that nobody gave out.
    pub(crate) fn unknown_token() -> Self {
        let body = Bytes::from_static(br#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown access token"}"#);
        Self { status: 401, body, retry_after: None }
    }
}

/// Why nobody is known to make the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The homeserver refuses.
    #[error("the homeserver refuses the token with {}", .0.status)]
    Refused(Refusal),
    /// The homeserver is out of reach or answers nonsense. Never to be told as 401:
    /// clients log out on that.
    #[error("the homeserver cannot say who this is: {0}")]
    Unavailable(String),
}

/// Finds out who a token belongs to.
#[async_trait]
pub trait TokenChecker: fmt::Debug + Send + Sync + 'static {
    /// Who presents this.
    async fn check(&self, presented: &Presented) -> Result<Requester, AuthError>;

    /// This token was logged out: nothing that was said of it before is believed any more,
    /// on any instance. Call it after the homeserver did. To be run to its end: dropped
    /// earlier, other instances may not learn of it.
    async fn forget(&self, _token: &Secret<String>) {}

    /// All tokens of this user were logged out; likewise.
    async fn forget_user(&self, _user_id: &UserId) {}
}

/// The device of every token in development.
const DEVELOPMENT_DEVICE: &str = "DEVELOPMENT";

/// Tokens that are given, for development without a homeserver.
#[derive(Clone, Default)]
pub struct DevelopmentTokens {
    // By digest: looking one up tells by its time nothing of the tokens.
    users: HashMap<Digest, UserId>,
}

impl DevelopmentTokens {
    /// These tokens and no others.
    pub fn new(tokens: impl IntoIterator<Item = (Secret<String>, UserId)>) -> Self {
        Self { users: tokens.into_iter().map(|(token, user)| (digest_of(&token), user)).collect() }
    }
}

impl fmt::Debug for DevelopmentTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentTokens").field("users", &self.users.values()).finish()
    }
}

#[async_trait]
impl TokenChecker for DevelopmentTokens {
    async fn check(&self, presented: &Presented) -> Result<Requester, AuthError> {
        let requester = self.users.get(&digest_of(&presented.token)).map(|user_id| Requester {
            user_id: user_id.clone(),
            device_id: Some(DEVELOPMENT_DEVICE.to_owned()),
            is_application_service: false,
            is_guest: false,
        });
        requester.ok_or_else(|| AuthError::Refused(Refusal::unknown_token()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_presented_cannot_be_confused() {
        let presented = |token: &str, user: Option<&str>, device: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Presented { user_id: own(user), device_id: own(device), ..Presented::token(token) }.digest()
        };
        let all = [
            presented("ab", None, None),
            presented("a", Some("b"), None),
            presented("a", None, Some("b")),
            presented("a", Some(""), Some("b")),
            presented("a", Some("b"), Some("")),
            presented("a", None, None),
        ];

        let distinct: std::collections::HashSet<_> = all.iter().collect();

        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_token_is_the_same_whomever_it_acts_for() {
        let alone = Presented::token("a");
        let acting = Presented { user_id: Some("@b:a.example".to_owned()), ..alone.clone() };

        assert_eq!(alone.key(), PresentedKey { token: digest_of(&alone.token), whole: alone.digest() });
        assert_eq!(acting.key(), PresentedKey { token: digest_of(&alone.token), whole: acting.digest() });
    }

    #[tokio::test]
    async fn development_tokens_know_their_users_alone() {
        let alice: UserId = "@alice:a.example".parse().unwrap();
        let tokens = DevelopmentTokens::new([(Secret::new("wonder".to_owned()), alice.clone())]);

        let known = tokens.check(&Presented::token("wonder")).await;
        let unknown = tokens.check(&Presented::token("wonde")).await;

        let device_id = Some("DEVELOPMENT".to_owned());
        let expected = Requester { user_id: alice, device_id, is_application_service: false, is_guest: false };
        assert_eq!(known, Ok(expected));
        assert!(matches!(unknown, Err(AuthError::Refused(Refusal { status: 401, .. }))));
        assert!(!format!("{tokens:?}").contains("wonder"));
    }
}
