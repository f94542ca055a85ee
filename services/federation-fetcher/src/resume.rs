//! A transfer that goes on where it broke off, if the content can be asked for in part.
//!
//! What the federation endpoint sends itself cannot: the protocol has no ranges there.

use std::time::Duration;

use bytes::Bytes;
use heliograph_matrix::Destination;
use heliograph_proto::Fetch;
use reqwest::{Response, StatusCode, header::HeaderMap};
use tokio::time::sleep;
use url::Url;

use crate::{
    ask::Asker,
    content::Content,
    metrics,
    question::{Endpoint, Question},
    range::{GoOn, Version},
    verdict::FetchError,
};

/// Doubled with each further try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Where content can be asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this server itself, which sends or redirects.
    Legacy(Destination, Endpoint),
    /// Where the federation endpoint of this server said that it is.
    Elsewhere(Destination, Url),
}

/// Content on its way, however many answers it takes.
pub(crate) struct Transfer<'a> {
    asker: &'a Asker,
    request: &'a Fetch,
    content: Content,
    tries: u32,
    /// Where the last try went on.
    went_on_at: u64,
}

impl<'a> Transfer<'a> {
    pub(crate) const fn new(asker: &'a Asker, request: &'a Fetch, content: Content) -> Self {
        Self { asker, request, content, tries: 0, went_on_at: 0 }
    }

    /// The next bytes, not empty; `None` once all have arrived.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            match self.content.next().await {
                Err(error) => self.go_on(error).await?,
                piece => return piece,
            }
        }
    }

    /// Asks for the rest of what ended with `error`, if that makes sense.
    async fn go_on(&mut self, error: FetchError) -> Result<(), FetchError> {
        let at = self.content.arrived_bytes();
        // Each try must have got something, or an origin that sends nothing is asked for ever.
        let may_try = at > self.went_on_at && self.tries < self.asker.most_resumptions();
        let Some((place, version)) = self.content.find_rest().filter(|_| may_try) else { return Err(error) };
        (self.tries, self.went_on_at) = (self.tries + 1, at);
        sleep(FIRST_PAUSE * (1 << (self.tries - 1).min(6))).await;
        match self.asker.ask_for_rest(self.request, &place, &version, at).await {
            Ok((go_on, response)) => {
                let how = if go_on.skip_bytes == 0 { "range" } else { "whole" };
                tracing::debug!(mxc = %self.request.mxc, at, how, reason = error.reason, "a transfer goes on");
                metrics::resumed(how);
                self.content.go_on(response, self.asker.limits(), go_on)
            }
            Err(why) => {
                metrics::resumed("failed");
                let reason = format!("{}; {why}", error.reason.unwrap_or_default());
                Err(FetchError { reason: Some(reason.into()), ..error })
            }
        }
    }
}

impl Asker {
    /// Asks for the content of `version` from `at`. An error says why it cannot be had.
    async fn ask_for_rest(
        &self,
        request: &Fetch,
        place: &Place,
        version: &Version,
        at: u64,
    ) -> Result<(GoOn, Response), String> {
        let headers = version.ask_from(at);
        let response = match place {
            Place::Legacy(server, endpoint) => self.ask_server_again((server, *endpoint), request, &headers).await,
            Place::Elsewhere(server, url) => self.follow_again((server, url), request, &headers).await,
        };
        let response = response.map_err(|error| error.reason.map_or(error.failure.message, Into::into))?;
        let go_on = version.judge(response.status(), response.headers(), at)?;
        Ok((go_on, response))
    }

    async fn ask_server_again(
        &self,
        (server, endpoint): (&Destination, Endpoint),
        request: &Fetch,
        headers: &HeaderMap,
    ) -> Result<Response, FetchError> {
        let (url, response) = self.send(endpoint, &Question::of(request), server, headers).await?;
        match Self::find_redirect(endpoint, &url, &response) {
            Some(target) => self.follow(target, headers).await,
            None => Ok(response),
        }
    }

    /// A URL that is no good any more has ended, mostly: the origin is asked for a fresh one.
    async fn follow_again(
        &self,
        (server, url): (&Destination, &Url),
        request: &Fetch,
        headers: &HeaderMap,
    ) -> Result<Response, FetchError> {
        let response = self.follow(url.clone(), headers).await?;
        if !matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(response);
        }
        self.follow(self.ask_for_place(request, server).await?, headers).await
    }
}
