//! Asking an origin for a medium: which endpoint, signed how, and where its answer leads.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_matrix::{
    Destination, Destinations, Discovery, FederationConfig, GuardedClient, Refused, Request, SendError, SignedRequest,
    SigningKey, read_body, read_retry_after,
};
use heliograph_proto::Fetch;
use heliograph_types::{Clock, Failure, ServerName, Timestamp};
use lru::LruCache;
use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, HeaderMap, LOCATION},
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, debug_span};
use url::Url;

use crate::{
    body::Limits,
    content::{Content, Opened},
    metrics,
    pace::Floor,
    phase::Phase,
    question::{Endpoint, Question, What},
    resume::Place,
    verdict::{FetchError, Refusal, judge},
};

const MOST_ERROR_BYTES: usize = 64 << 10;
const MOST_REDIRECTS: usize = 3;
/// Servers whose endpoint is remembered, about 100 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const REMEMBER_ENDPOINT: Duration = Duration::from_hours(1);

/// Asks origins.
pub(crate) struct Asker {
    pub(crate) client: GuardedClient,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) keys: HashMap<ServerName, SigningKey>,
    pub(crate) clock: Arc<dyn Clock>,
    limits: Limits,
    find_timeout: Duration,
    /// How long a head may take, connection and all.
    patience: Duration,
    most_resumptions: u32,
    /// What is larger is not fetched for the sake of a thumbnail.
    thumbnail_above: Option<u64>,
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
        let floor = Floor { bytes_per_second: config.slowest_rate.as_u64(), window: config.rate_window };
        Self {
            client,
            discovery,
            keys,
            clock,
            limits: Limits { most_bytes: config.max_bytes.as_u64(), read_timeout: config.read_timeout, floor },
            find_timeout: config.find_timeout,
            patience: config.connect_timeout.saturating_add(config.head_timeout),
            most_resumptions: config.max_resumptions,
            thumbnail_above: Some(config.thumbnail_above.as_u64()).filter(|bytes| *bytes > 0),
            endpoints: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) const fn most_resumptions(&self) -> u32 {
        self.most_resumptions
    }

    /// Asks until the content begins to arrive.
    pub(crate) async fn open(&self, request: &Fetch) -> Result<Content, FetchError> {
        let content = self.ask(&Question::of(request)).await?;
        let is_large = |most: u64| content.said_bytes().is_some_and(|said| said > most);
        if request.for_thumbnail && self.thumbnail_above.is_some_and(is_large) {
            return Err(FetchError::declined());
        }
        Ok(content)
    }

    /// Asks the media server that the origin names, if it works, or the origin.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Content, FetchError> {
        let origin = &question.mxc.server_name;
        let Destinations { media, usual } = self.find(origin).await?;
        if let Some(media) = &media {
            match self.ask_at(question, media).await {
                Err(error) if error.is_unanswered => {
                    let reason = error.reason.as_deref().unwrap_or(&error.failure.message);
                    tracing::info!(%origin, media_server = %media.name(), reason, "a media server does not work");
                    self.discovery.shun_media_server(origin);
                }
                answered => return answered,
            }
        }
        self.ask_at(question, &usual).await
    }

    /// Where the origin is.
    async fn find(&self, origin: &ServerName) -> Result<Destinations, FetchError> {
        let begun = Instant::now();
        let finding = timeout(self.find_timeout, self.discovery.find_for_media(origin));
        let found = finding.instrument(debug_span!("find server")).await;
        metrics::phase_took(Phase::Find.name(), begun.elapsed());
        let found = found.map_err(|_| Phase::Find.late())?;
        found.map_err(|error| FetchError::nonsense(error.to_string()))
    }

    /// Asks one endpoint after the other until one is known there.
    async fn ask_at(&self, question: &Question<'_>, destination: &Destination) -> Result<Content, FetchError> {
        let server = destination.name();
        let first = self.find_endpoint(server).unwrap_or(Endpoint::Federation);
        for endpoint in Endpoint::ALL.into_iter().skip_while(|endpoint| *endpoint != first) {
            if let Some(content) = self.try_endpoint(endpoint, question, destination).await? {
                self.remember(question, server, endpoint);
                return Ok(content);
            }
        }
        self.endpoints().pop(server);
        Err(FetchError::nonsense("the other server knows no endpoint for media").unanswered())
    }

    /// There are servers whose endpoints for content and for thumbnails are not of one age.
    fn remember(&self, question: &Question<'_>, server: &ServerName, endpoint: Endpoint) {
        if matches!(question.what, What::Content(_)) {
            let until = self.clock.now() + REMEMBER_ENDPOINT;
            self.endpoints().put(server.clone(), (endpoint, until));
        }
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
        question: &Question<'_>,
        destination: &Destination,
    ) -> Result<Option<Content>, FetchError> {
        // A URL of the answer may have expired: then a second answer has a fresh one.
        for is_last in [false, true] {
            let deadline = self.deadline(question.wait());
            let (url, response) = self.send(endpoint, question, destination, &HeaderMap::new()).await?;
            let location = match response.status() {
                StatusCode::OK if endpoint == Endpoint::Federation => {
                    match Content::multipart(response, self.limits, deadline).await? {
                        Opened::Here(content) => return Ok(Some(*content)),
                        Opened::Elsewhere(location) => Url::parse(&location).ok(),
                    }
                }
                StatusCode::OK => return self.plain(response, Place::Legacy(destination.clone(), endpoint)).map(Some),
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT if endpoint == Endpoint::LegacyV3 => {
                    Self::find_redirect(endpoint, &url, &response)
                }
                _ => return self.read_refusal(response).await,
            };
            let location = location.ok_or_else(|| FetchError::nonsense("the media is said to be nowhere"))?;
            let response = self.follow(location.clone(), &HeaderMap::new()).await?;
            if response.status() == StatusCode::OK {
                let is_legacy = endpoint != Endpoint::Federation;
                let destination = destination.clone();
                let place = if is_legacy {
                    Place::Legacy(destination, endpoint)
                } else {
                    Place::Elsewhere(destination, location)
                };
                return self.plain(response, place).map(Some);
            }
            if is_last {
                break;
            }
        }
        Err(FetchError::nonsense("the media is not where the other server says"))
    }

    fn plain(&self, response: Response, place: Place) -> Result<Content, FetchError> {
        Content::plain(response, self.limits, place)
    }

    /// Asks the federation endpoint where the content is now.
    pub(crate) async fn ask_for_place(&self, request: &Fetch, destination: &Destination) -> Result<Url, FetchError> {
        let question = Question::of(request);
        let deadline = self.deadline(question.wait());
        let (_, response) = self.send(Endpoint::Federation, &question, destination, &HeaderMap::new()).await?;
        if response.status() == StatusCode::OK
            && let Opened::Elsewhere(location) = Content::multipart(response, self.limits, deadline).await?
            && let Ok(location) = location.parse()
        {
            return Ok(location);
        }
        Err(FetchError::nonsense("it does not say any more where the media is"))
    }

    /// Where the origin's own endpoint sends us, if it does.
    pub(crate) fn find_redirect(endpoint: Endpoint, url: &Url, response: &Response) -> Option<Url> {
        let redirects = matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        (redirects && endpoint == Endpoint::LegacyV3).then(|| redirect_target(url, response.headers())).flatten()
    }

    /// Until when a head must be here.
    fn deadline(&self, wait: Duration) -> Instant {
        Instant::now() + self.patience.saturating_add(wait)
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

    /// Asks the origin, with `headers` besides its own.
    pub(crate) async fn send(
        &self,
        endpoint: Endpoint,
        question: &Question<'_>,
        destination: &Destination,
        headers: &HeaderMap,
    ) -> Result<(Url, Response), FetchError> {
        let target = endpoint.target(question);
        let url = destination.url(&target).map_err(|error| FetchError::nonsense(error.to_string()))?;
        let mut asked = self.client.get_from(destination, &target).map_err(refused)?.headers(headers);
        if endpoint == Endpoint::Federation {
            asked = asked.header(AUTHORIZATION, &self.authorization(question, &target)?);
        }
        // The origin may wait for the upload as long as it was told to.
        Ok((url, self.head_of(asked, self.deadline(question.wait())).await?))
    }

    fn authorization(&self, Question { tenant, mxc, .. }: &Question<'_>, target: &str) -> Result<String, FetchError> {
        let keyless = || FetchError::ours(Failure::unavailable(format!("there is no signing key for {tenant}")));
        let key = self.keys.get(*tenant).ok_or_else(keyless)?;
        let signed = SignedRequest { method: "GET", target, origin: tenant, destination: &mxc.server_name };
        Ok(signed.sign(key))
    }

    async fn head_of(&self, request: Request, deadline: Instant) -> Result<Response, FetchError> {
        let begun = Instant::now();
        let response = timeout_at(deadline, request.send()).await;
        metrics::phase_took(Phase::Head.name(), begun.elapsed());
        let response = response.map_err(|_| Phase::Head.late())?;
        response.map_err(|error| match error {
            SendError::Refused(error) => refused(error),
            SendError::ConnectTimedOut => Phase::Connect.late(),
            SendError::Encoded => FetchError::nonsense(error.to_string()).unanswered(),
            error => FetchError::origin(error.to_string()),
        })
    }

    /// Gets a URL that an origin named, with `headers` but without anything that proves who we
    /// are. The answer is that of the last redirect that is followed.
    pub(crate) async fn follow(&self, mut url: Url, headers: &HeaderMap) -> Result<Response, FetchError> {
        for redirects_left in (0..=MOST_REDIRECTS).rev() {
            let request = self.client.get(url.clone()).map_err(refused)?.headers(headers);
            let response = self.head_of(request, self.deadline(Duration::ZERO)).await?;
            let is_redirect = redirects_left > 0 && response.status().is_redirection();
            let target = is_redirect.then(|| redirect_target(&url, response.headers()));
            let Some(target) = target.flatten() else { return Ok(response) };
            url = target;
        }
        Err(FetchError::nonsense("the media is behind too many redirects"))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn refused(refused: Refused) -> FetchError {
    FetchError::refused(refused.to_string())
}

fn redirect_target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}
