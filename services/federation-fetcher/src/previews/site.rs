//! One question to a web site, through all of its redirects.

use std::time::Duration;

use heliograph_matrix::{GuardedClient, SendError};
use heliograph_preview::{Agents, Languages};
use heliograph_types::ServerName;
use reqwest::{
    Response,
    header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION, USER_AGENT},
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::rules::Rules;

/// More redirects are not followed.
const MOST_HOPS: usize = 5;

/// What web sites are asked through.
pub(crate) struct Site {
    pub(crate) client: GuardedClient,
    pub(crate) rules: Rules,
    pub(crate) read_timeout: Duration,
    pub(crate) until_connected: Duration,
}

/// In whose name, and for whom, a site is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) tenant: &'a ServerName,
    pub(crate) languages: &'a Languages,
    /// What is expected.
    pub(crate) accept: &'static str,
    /// By then there has to be an answer.
    pub(crate) deadline: Instant,
}

/// An answer, and where it was found.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) response: Response,
}

impl Site {
    /// Refuses what is not asked at all. Names are looked at once more when they are connected to.
    pub(crate) fn check(&self, url: &Url) -> Result<(), String> {
        if !self.rules.permit(url) {
            return Err("the URL is not permitted by [previews]".to_owned());
        }
        self.client.check(url).map_err(|refused| refused.to_string())
    }

    /// Asks, under one name after the other if a site refuses those that it does not know.
    pub(crate) async fn ask(&self, url: &Url, asker: Asker<'_>) -> Result<Answer, String> {
        let outcome = timeout_at(asker.deadline, self.ask_by_all_names(url, asker)).await;
        outcome.unwrap_or_else(|_| Err("the site takes too long".to_owned()))
    }

    async fn ask_by_all_names(&self, url: &Url, asker: Asker<'_>) -> Result<Answer, String> {
        let (chain, contact) = (Agents::built_in(), format!("https://{}", asker.tenant));
        let mut last = "nobody was asked".to_owned();
        for agent in chain.chain(url, env!("CARGO_PKG_VERSION"), &contact) {
            let answer = self.follow(url.clone(), asker, &agent).await?;
            let status = answer.response.status();
            if status.is_success() {
                return Ok(answer);
            }
            last = format!("the site answers {status}");
            if !chain.is_refusal(status.as_u16()) {
                break;
            }
        }
        Err(last)
    }

    /// Through redirects, each checked as if it were asked for.
    async fn follow(&self, mut url: Url, asker: Asker<'_>, agent: &str) -> Result<Answer, String> {
        for _ in 0..=MOST_HOPS {
            self.check(&url)?;
            let response = self.get(&url, asker, agent).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { url, response });
            }
            let target =
                response.headers().get(LOCATION).and_then(|target| std::str::from_utf8(target.as_bytes()).ok());
            url = target.and_then(|target| url.join(target).ok()).ok_or("the site redirects to nowhere")?;
            url.set_fragment(None);
        }
        Err("the site redirects too often".to_owned())
    }

    async fn get(&self, url: &Url, asker: Asker<'_>, agent: &str) -> Result<Response, String> {
        let request = self.client.get(url.clone()).map_err(|refused| refused.to_string())?;
        let mut request = request.take_gzip().header(USER_AGENT, agent).header(ACCEPT, asker.accept);
        let languages = asker.languages.to_header();
        if !languages.is_empty() {
            request = request.header(ACCEPT_LANGUAGE, &languages);
        }
        let answer = timeout(self.until_connected.saturating_add(self.read_timeout), request.send()).await;
        answer.map_err(|_| "the site does not answer".to_owned())?.map_err(|error: SendError| error.to_string())
    }
}
