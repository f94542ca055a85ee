//! What homeservers are asked besides who a token belongs to: the contract, and what answers
//! where there is no homeserver.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::{Secret, ServerName, UserId};

use crate::{AuthError, Reply};

/// A file under `/.well-known/matrix/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WellKnownFile {
    /// Where clients find the homeserver.
    Client,
    /// Where other servers find it.
    Server,
}

impl WellKnownFile {
    /// Its name there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The homeservers whose media these are. Redirects, 5xx, nonsense, and a server name that is
/// none of theirs, are all `Unavailable`.
#[async_trait]
pub trait Homeservers: fmt::Debug + Send + Sync + 'static {
    /// `GET /_matrix/client/versions`, with the caller's token if given. A token that cannot
    /// stand in a header counts as none.
    async fn versions(&self, server_name: &ServerName, token: Option<&Secret<String>>) -> Result<Reply, AuthError>;

    /// What it publishes under `/.well-known/matrix/`; `None` where that is nothing (404).
    async fn well_known(&self, server_name: &ServerName, which: WellKnownFile) -> Result<Option<Reply>, AuthError>;

    /// `POST /_matrix/client/v3/logout` or, `everywhere`, `/logout/all`; an old homeserver by
    /// its old path. What else knows the token is to forget it: see `TokenChecker::forget`.
    async fn log_out(
        &self,
        server_name: &ServerName,
        token: &Secret<String>,
        everywhere: bool,
    ) -> Result<Reply, AuthError>;

    /// Whether `requester`, whose token this is, administrates its homeserver. `Refused` only
    /// where the homeserver says "too much" (429).
    async fn is_admin(&self, requester: &UserId, token: &Secret<String>) -> Result<bool, AuthError>;

    /// Whether the account is suspended. Known only where `homeserver.admin_token` is set;
    /// false otherwise. Never `Refused`.
    async fn is_suspended(&self, user: &UserId) -> Result<bool, AuthError>;
}

/// What a homeserver would answer, for development without one.
#[derive(Debug, Clone)]
pub struct DevelopmentHomeservers {
    admin: UserId,
}

impl DevelopmentHomeservers {
    /// Of all users, `admin` alone administrates.
    pub const fn new(admin: UserId) -> Self {
        Self { admin }
    }
}

const fn ok(body: &'static [u8]) -> Reply {
    Reply { status: 200, body: Bytes::from_static(body), retry_after: None, cache_control: None }
}

#[async_trait]
impl Homeservers for DevelopmentHomeservers {
    async fn versions(&self, _: &ServerName, _: Option<&Secret<String>>) -> Result<Reply, AuthError> {
        Ok(ok(br#"{"versions":["v1.11"],"unstable_features":{}}"#))
    }

    async fn well_known(&self, _: &ServerName, _: WellKnownFile) -> Result<Option<Reply>, AuthError> {
        Ok(None)
    }

    async fn log_out(&self, _: &ServerName, _: &Secret<String>, _: bool) -> Result<Reply, AuthError> {
        Ok(ok(b"{}"))
    }

    async fn is_admin(&self, requester: &UserId, _: &Secret<String>) -> Result<bool, AuthError> {
        Ok(*requester == self.admin)
    }

    async fn is_suspended(&self, _: &UserId) -> Result<bool, AuthError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn development_has_one_administrator_and_publishes_nothing() {
        let (alice, bob): (UserId, UserId) = ("@alice:a.example".parse().unwrap(), "@bob:a.example".parse().unwrap());
        let homeservers = DevelopmentHomeservers::new(alice.clone());
        let (name, token) = (alice.server_name(), Secret::new("t".to_owned()));

        assert_eq!(homeservers.is_admin(&alice, &token).await, Ok(true));
        assert_eq!(homeservers.is_admin(&bob, &token).await, Ok(false));
        assert_eq!(homeservers.is_suspended(&bob).await, Ok(false));
        assert_eq!(homeservers.well_known(&name, WellKnownFile::Client).await, Ok(None));
        for reply in [homeservers.versions(&name, None).await, homeservers.log_out(&name, &token, false).await] {
            assert!(serde_json::from_slice::<serde_json::Value>(&reply.unwrap().body).is_ok());
        }
    }
}
