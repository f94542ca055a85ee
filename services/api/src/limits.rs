//! How much each caller may do: requests and bytes per time, counted over all instances.
//!
//! What costs us little is not counted: content that is here and was made before. Counting
//! itself must cost little too, so an instance takes a share of a caller's bucket at once and
//! gives it out by itself.

mod config;
mod purse;

use std::{net::IpAddr, sync::Arc, time::Duration};

use actix_web::HttpRequest;
use futures_util::{TryStreamExt, stream};
use heliograph_leases::{Budget, State};
use heliograph_matrix::Requester;
use heliograph_proto::MediaBody;
use heliograph_types::{Failure, ServerName, UserId};

use crate::{auth, error::ApiError, metrics, server::Front};

pub use config::LimitsConfig;
use purse::Purses;

/// Bytes of what has no length are counted in such steps, each before it arrives.
pub(crate) const STEP_BYTES: u64 = 1 << 20;

/// Whose limits count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A user.
    User(UserId),
    /// An application service, whichever of its users it acts for; known by its token.
    Service(String),
    /// Somebody without a token.
    Address(IpAddr),
    /// Another server.
    Origin(ServerName),
}

impl Caller {
    /// Whoever has shown a token.
    pub(crate) fn of(front: &Front, request: &HttpRequest, requester: &Requester) -> Self {
        if requester.is_application_service {
            Self::Service(auth::token_digest(front, request))
        } else {
            Self::User(requester.user_id.clone())
        }
    }

    /// Tells it from every other caller.
    fn name(&self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Service(token) => format!("service:{token}"),
            Self::Address(address) => format!("address:{address}"),
            Self::Origin(origin) => format!("origin:{origin}"),
        }
    }
}

/// The limits of all callers.
pub(crate) struct Limits {
    config: LimitsConfig,
    purses: Purses,
}

impl Limits {
    pub(crate) fn new(config: LimitsConfig, state: State) -> Self {
        Self { config, purses: Purses::new(state) }
    }

    /// An upload is asked for.
    pub(crate) async fn upload(&self, caller: &Caller) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_uploads,
            _ => self.config.user_uploads,
        };
        self.spend("uploads", caller, rate.get(), 1).await
    }

    /// Bytes of an upload.
    pub(crate) async fn upload_bytes(&self, caller: &Caller, bytes: u64) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_upload_bytes,
            _ => self.config.user_upload_bytes,
        };
        self.spend("upload_bytes", caller, rate.get(), bytes).await
    }

    /// An id is created, or an upload completed.
    pub(crate) async fn create(&self, caller: &Caller) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_creates,
            _ => self.config.user_creates,
        };
        self.spend("creates", caller, rate.get(), 1).await
    }

    /// A medium of another server is fetched.
    pub(crate) async fn fetch(&self, caller: &Caller) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_fetches,
            Caller::Address(_) => self.config.address_fetches,
            _ => self.config.user_fetches,
        };
        self.spend("fetches", caller, rate.get(), 1).await
    }

    /// Bytes of such a medium.
    pub(crate) async fn fetch_bytes(&self, caller: &Caller, bytes: u64) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_fetch_bytes,
            Caller::Address(_) => self.config.address_fetch_bytes,
            _ => self.config.user_fetch_bytes,
        };
        self.spend("fetch_bytes", caller, rate.get(), bytes).await
    }

    /// Counts the bytes of such a medium while they arrive. One whose size nobody tells may be
    /// larger than what is left: it arrives as a whole, and the next one is refused.
    pub(crate) async fn meter(
        self: &Arc<Self>,
        caller: &Caller,
        size_bytes: Option<u64>,
        body: MediaBody,
    ) -> Result<MediaBody, ApiError> {
        self.fetch_bytes(caller, size_bytes.unwrap_or(STEP_BYTES)).await?;
        if size_bytes.is_some() {
            return Ok(body);
        }
        let begin = (Arc::clone(self), caller.clone(), body, 0);
        let metered = stream::try_unfold(begin, |(limits, caller, mut body, uncounted)| async move {
            let Some(piece) = body.try_next().await? else { return Ok(None) };
            let mut uncounted = uncounted + piece.len() as u64;
            if uncounted >= STEP_BYTES {
                uncounted -= STEP_BYTES;
                drop(limits.fetch_bytes(&caller, STEP_BYTES).await);
            }
            Ok(Some((piece, (limits, caller, body, uncounted))))
        });
        Ok(Box::pin(metered))
    }

    /// A thumbnail is made that is not there yet.
    pub(crate) async fn render(&self, caller: &Caller) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_renders,
            Caller::Address(_) => self.config.address_renders,
            Caller::Origin(_) => self.config.origin_renders,
            Caller::User(_) => self.config.user_renders,
        };
        self.spend("renders", caller, rate.get(), 1).await
    }

    /// A URL is to be previewed.
    pub(crate) async fn preview(&self, caller: &Caller) -> Result<(), ApiError> {
        let rate = match caller {
            Caller::Service(_) => self.config.service_previews,
            _ => self.config.user_previews,
        };
        self.spend("previews", caller, rate.get(), 1).await
    }

    /// Somebody without a token asks for anything.
    pub(crate) async fn anonymous(&self, caller: &Caller) -> Result<(), ApiError> {
        self.spend("requests", caller, self.config.address_requests.get(), 1).await
    }

    /// Somebody says to be another server; looking for its key costs work.
    pub(crate) async fn unverified(&self, address: IpAddr) -> Result<(), ApiError> {
        self.spend("signatures", &Caller::Address(address), self.config.address_requests.get(), 1).await
    }

    /// Another server asks for anything.
    pub(crate) async fn signed(&self, origin: &ServerName) -> Result<(), ApiError> {
        self.spend("requests", &Caller::Origin(origin.clone()), self.config.origin_requests.get(), 1).await
    }

    /// Bytes for another server.
    pub(crate) async fn signed_bytes(&self, origin: &ServerName, bytes: u64) -> Result<(), ApiError> {
        self.spend("bytes", &Caller::Origin(origin.clone()), self.config.origin_bytes.get(), bytes).await
    }

    async fn spend(
        &self,
        what: &'static str,
        caller: &Caller,
        rate: Option<(u64, Duration)>,
        amount: u64,
    ) -> Result<(), ApiError> {
        let Some((capacity, period)) = rate.filter(|_| amount > 0) else { return Ok(()) };
        let budget = Budget { capacity, period };
        match self.purses.spend(&format!("{what}:{}", caller.name()), budget, amount).await {
            Ok(()) => Ok(()),
            Err(retry_after) => {
                metrics::limited(what);
                Err(Failure::saturated(format!("too many {what} at once"), retry_after).into())
            }
        }
    }
}
