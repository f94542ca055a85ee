//! Asking an origin for a medium: which endpoint, signed how, and where its answer leads.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_matrix::{
    Destination, Discovery, FederationConfig, GuardedClient, Refused, Request, SendError, SignedRequest, SigningKey,
    read_body, read_retry_after,
};
use heliograph_proto::Fetch;
use heliograph_types::{Clock, Failure, Mxc, ServerName, Timestamp};
use lru::LruCache;
use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, HeaderMap, LOCATION},
};
use tokio::time::timeout;
use url::Url;

use crate::{
    content::{Content, Limits, Opened},
    verdict::{FetchError, Refusal, judge},
};

const MOST_ERROR_BYTES: usize = 64 << 10;
const MOST_REDIRECTS: usize = 3;
/// Servers whose endpoint is remembered, about 100 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const REMEMBER_ENDPOINT: Duration = Duration::from_hours(1);

/// The ways to ask, newest first. Each is tried only if those before are unknown there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Federation,
    LegacyV3,
    LegacyR0,
}

impl Endpoint {
    const ALL: [Self; 3] = [Self::Federation, Self::LegacyV3, Self::LegacyR0];

    /// Never lets the origin ask a third server.
    fn target(self, Mxc { server_name, media_id }: &Mxc, wait: Duration) -> String {
        let wait_ms = wait.as_millis();
        match self {
            Self::Federation => format!("/_matrix/federation/v1/media/download/{media_id}?timeout_ms={wait_ms}"),
            Self::LegacyV3 => format!(
                "/_matrix/media/v3/download/{server_name}/{media_id}?allow_remote=false&allow_redirect=true&timeout_ms={wait_ms}"
            ),
            Self::LegacyR0 => format!("/_matrix/media/r0/download/{server_name}/{media_id}?allow_remote=false"),
        }
    }
}

/// Asks origins.
pub(crate) struct Asker {
    pub(crate) client: GuardedClient,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) keys: HashMap<ServerName, SigningKey>,
    pub(crate) clock: Arc<dyn Clock>,
    limits: Limits,
    connect_timeout: Duration,
    endpoints: Mutex<LruCache<ServerName, (Endpoint, Timestamp)>>,
}

impl Asker {
    pub(crate) fn new(
        config: &FederationConfig,
        client: GuardedClient,
        discovery: Arc<Discovery>,
        keys: HashMap<ServerName, SigningKey>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limits = Limits { most_bytes: config.max_bytes.as_u64(), read_timeout: config.read_timeout };
        let endpoints = Mutex::new(LruCache::new(REMEMBERED));
        Self { client, discovery, keys, clock, limits, connect_timeout: config.connect_timeout, endpoints }
    }

    /// Asks until the content begins to arrive: the media server that the origin names, if it
    /// works, or the origin.
    pub(crate) async fn open(&self, request: &Fetch) -> Result<Content, FetchError> {
        let origin = &request.mxc.server_name;
        let found = self.discovery.find_for_media(origin).await;
        let found = found.map_err(|error| FetchError::nonsense(error.to_string()))?;
        if let Some(media) = &found.media {
            match self.open_at(request, media).await {
                Err(error) if error.is_unanswered => {
                    let reason = error.reason.as_ref().unwrap_or(&error.failure.message);
                    tracing::info!(%origin, media_server = %media.name(), reason, "a media server does not work");
                    self.discovery.shun_media_server(origin);
                }
                answered => return answered,
            }
        }
        self.open_at(request, &found.usual).await
    }

    async fn open_at(&self, request: &Fetch, destination: &Destination) -> Result<Content, FetchError> {
        let server = destination.name();
        let first = self.find_endpoint(server).unwrap_or(Endpoint::Federation);
        for endpoint in Endpoint::ALL.into_iter().skip_while(|endpoint| *endpoint != first) {
            if let Some(content) = self.try_endpoint(endpoint, request, destination).await? {
                let until = self.clock.now() + REMEMBER_ENDPOINT;
                self.endpoints().put(server.clone(), (endpoint, until));
                return Ok(content);
            }
        }
        self.endpoints().pop(server);
        Err(FetchError::nonsense("the other server knows no endpoint for media").unanswered())
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, LruCache<ServerName, (Endpoint, Timestamp)>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_endpoint(&self, server: &ServerName) -> Option<Endpoint> {
        let now = self.clock.now();
        self.endpoints().get(server).filter(|(_, until)| now < *until).map(|(endpoint, _)| *endpoint)
    }

    /// `None` if the endpoint is unknown there.
    async fn try_endpoint(
        &self,
        endpoint: Endpoint,
        request: &Fetch,
        destination: &Destination,
    ) -> Result<Option<Content>, FetchError> {
        // A URL of the answer may have expired: then a second answer has a fresh one.
        for is_last in [false, true] {
            let (url, response) = self.send(endpoint, request, destination).await?;
            let location = match response.status() {
                StatusCode::OK if endpoint == Endpoint::Federation => {
                    match Content::multipart(response, self.limits).await? {
                        Opened::Here(content) => return Ok(Some(*content)),
                        Opened::Elsewhere(location) => Url::parse(&location).ok(),
                    }
                }
                StatusCode::OK => return Content::plain(response, self.limits).map(Some),
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT if endpoint == Endpoint::LegacyV3 => {
                    redirect_target(&url, response.headers())
                }
                _ => return self.read_refusal(response).await,
            };
            let location = location.ok_or_else(|| FetchError::nonsense("the media is said to be nowhere"))?;
            if let Some(response) = self.follow(location).await? {
                return Content::plain(response, self.limits).map(Some);
            }
            if is_last {
                break;
            }
        }
        Err(FetchError::nonsense("the media is not where the other server says"))
    }

    async fn read_refusal(&self, response: Response) -> Result<Option<Content>, FetchError> {
        let status = response.status().as_u16();
        let retry_after = read_retry_after(response.headers(), self.clock.now());
        let body = timeout(self.limits.read_timeout, read_body(response, MOST_ERROR_BYTES)).await;
        let body = body.map(Result::unwrap_or_default).unwrap_or_default();
        match judge(status, &body, retry_after) {
            Refusal::UnknownEndpoint => Ok(None),
            Refusal::Final(error) => Err(error),
        }
    }

    async fn send(
        &self,
        endpoint: Endpoint,
        request: &Fetch,
        destination: &Destination,
    ) -> Result<(Url, Response), FetchError> {
        let target = endpoint.target(&request.mxc, request.timeout);
        let url = destination.url(&target).map_err(|error| FetchError::nonsense(error.to_string()))?;
        let mut asked = self.client.get_from(destination, &target).map_err(refused)?;
        if endpoint == Endpoint::Federation {
            asked = asked.header(AUTHORIZATION, &self.authorization(request, &target)?);
        }
        // The origin may wait for the upload as long as it was told to.
        Ok((url, self.head_of(asked, request.timeout).await?))
    }

    fn authorization(&self, Fetch { tenant, mxc, .. }: &Fetch, target: &str) -> Result<String, FetchError> {
        let keyless = || FetchError::ours(Failure::unavailable(format!("there is no signing key for {tenant}")));
        let key = self.keys.get(tenant).ok_or_else(keyless)?;
        let signed = SignedRequest { method: "GET", target, origin: tenant, destination: &mxc.server_name };
        Ok(signed.sign(key))
    }

    async fn head_of(&self, request: Request, wait: Duration) -> Result<Response, FetchError> {
        let patience = self.connect_timeout + self.limits.read_timeout + wait;
        let response = timeout(patience, request.send()).await;
        let response = response.map_err(|_| FetchError::origin("no answer"))?;
        response.map_err(|error| match error {
            SendError::Refused(error) => refused(error),
            SendError::Encoded => FetchError::nonsense(error.to_string()).unanswered(),
            error => FetchError::origin(error.to_string()),
        })
    }

    /// Gets a URL that an origin named, without anything that proves who we are. `None` if
    /// it is not 200 in the end.
    async fn follow(&self, mut url: Url) -> Result<Option<Response>, FetchError> {
        for _ in 0..=MOST_REDIRECTS {
            let response = self.head_of(self.client.get(url.clone()).map_err(refused)?, Duration::ZERO).await?;
            if response.status() == StatusCode::OK {
                return Ok(Some(response));
            }
            let target = response.status().is_redirection().then(|| redirect_target(&url, response.headers()));
            let Some(target) = target.flatten() else { return Ok(None) };
            url = target;
        }
        Ok(None)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn refused(refused: Refused) -> FetchError {
    FetchError::refused(refused.to_string())
}

fn redirect_target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}
