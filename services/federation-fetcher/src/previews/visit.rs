//! One visit: the page, what is said of it elsewhere, its picture.

use std::time::Duration;

use bytes::Bytes;
use heliograph_matrix::told_lifetime;
use heliograph_preview::{Context, Kind, Languages, Link, OEMBED_BYTES, OEmbed, Page, Preview, Providers, read_text};
use heliograph_types::{ServerName, UserId};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use tokio::time::Instant;
use url::Url;

use super::{
    Previews,
    picture::Begun,
    site::{Answer, Asker},
    stream::Stream,
};
use crate::read_file_name;

const PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const OEMBEDS: &str = "application/json,text/xml;q=0.9";
/// Pages that lead on at once are no pages of their own; not more of them are passed.
const MOST_LEADS: usize = 2;

/// What is wanted, in what language, and whose medium the picture becomes.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) tenant: ServerName,
    pub(crate) url: Url,
    pub(crate) languages: Languages,
    /// Who was the first to want it.
    pub(crate) user: UserId,
}

impl Wish {
    pub(crate) fn asker(&self, accept: &'static str, deadline: Instant) -> Asker<'_> {
        Asker { tenant: &self.tenant, languages: &self.languages, accept, deadline }
    }
}

/// What a visit brings.
pub(crate) struct Visited {
    pub(crate) answer: Bytes,
    /// How long it may be kept.
    pub(crate) lifetime: Duration,
}

/// What an answer is.
enum Read {
    Page(Box<Page>),
    /// Its picture is the answer itself.
    Picture(Preview, Box<Begun>),
    Other(Preview),
}

/// Something that was read, and what came with it.
struct Found {
    read: Read,
    url: Url,
    headers: HeaderMap,
}

impl Previews {
    /// What there is by the deadline counts.
    pub(crate) async fn visit(&self, wish: &Wish, deadline: Instant) -> Result<Visited, String> {
        let page = self.find_page(wish, deadline).await;
        let oembed = self.find_oembed(wish, page.as_ref().ok(), deadline).await;
        let (preview, begun, headers) = match (page, &oembed) {
            (Ok(Found { read: Read::Page(page), headers, .. }), _) => (page.preview(oembed.as_ref()), None, headers),
            (Ok(Found { read: Read::Picture(preview, begun), headers, .. }), _) => (preview, Some(*begun), headers),
            (Ok(Found { read: Read::Other(preview), headers, .. }), _) => (preview, None, headers),
            (Err(_), Some(oembed)) => (oembed.preview(&wish.url), None, HeaderMap::new()),
            (Err(reason), None) => return Err(reason),
        };
        let now = self.clock.now();
        let cache_age = oembed.and_then(|oembed| oembed.cache_age);
        let lifetime = self.bounds().of(told_lifetime(&headers, now).into_iter().chain(cache_age));
        let gone_at = now + lifetime.saturating_add(self.config.keep_pictures);
        let copy = self.take_picture(wish, (&preview, begun), gone_at, deadline).await;
        let answer = serde_json::to_vec(&preview.answer(copy)).map_err(|error| error.to_string())?;
        Ok(Visited { answer: answer.into(), lifetime })
    }

    /// The page, or that to which it leads at once.
    async fn find_page(&self, wish: &Wish, deadline: Instant) -> Result<Found, String> {
        let mut url = wish.url.clone();
        for _ in 0..MOST_LEADS {
            let found = self.read(wish, &url, deadline).await?;
            match &found.read {
                Read::Page(page) if let Some(target) = page.leads_to().filter(|target| *target != found.url) => {
                    url = target;
                }
                _ => return Ok(found),
            }
        }
        self.read(wish, &url, deadline).await
    }

    async fn read(&self, wish: &Wish, url: &Url, deadline: Instant) -> Result<Found, String> {
        let Answer { url, response } = self.site.ask(url, wish.asker(PAGES, deadline)).await?;
        let headers = response.headers().clone();
        let mut stream = Stream::new(response, self.config.read_timeout, deadline);
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let name = headers.get(CONTENT_DISPOSITION).and_then(|value| read_file_name(value.as_bytes()));
        let name = name.map(|name| name.as_str().to_owned());
        let begun = stream.next().await?;
        let kind = Kind::of(content_type.as_deref(), begun.as_deref().unwrap_or_default());
        if !matches!(kind, Kind::Page | Kind::Text) {
            let preview = kind.preview(&url, content_type.as_deref(), name.as_deref());
            let read = if kind == Kind::Picture {
                Read::Picture(preview, Box::new(Begun { beginning: begun, stream }))
            } else {
                Read::Other(preview)
            };
            return Ok(Found { read, url, headers });
        }
        let most_bytes = usize::try_from(self.config.max_page_bytes.as_u64()).unwrap_or(usize::MAX);
        let (at, languages) = (url.clone(), wish.languages.clone());
        let reading = stream.read_by(begun, move |bytes| {
            let context =
                Context { url: &at, content_type: content_type.as_deref(), languages: &languages, most_bytes };
            if kind == Kind::Page {
                Read::Page(Box::new(Page::read(bytes, context)))
            } else {
                Read::Other(read_text(bytes, context, name.as_deref()))
            }
        });
        let (read, is_whole) = reading.await?;
        if !is_whole && is_silent(&read) {
            return Err("the page broke off before it said anything".to_owned());
        }
        Ok(Found { read, url, headers })
    }

    /// What a provider says of the page. Nothing fails by it.
    async fn find_oembed(&self, wish: &Wish, found: Option<&Found>, deadline: Instant) -> Option<OEmbed> {
        let at = found.map_or(&wish.url, |found| &found.url);
        let told = || match found.map(|found| &found.read) {
            Some(Read::Page(page)) => page.oembed(),
            _ => None,
        };
        let link = Providers::built_in().find(at).or_else(told)?;
        let oembed = self.read_oembed(wish, &link, at, deadline).await;
        oembed.inspect_err(|reason| tracing::debug!(reason, "nothing is said of a page elsewhere")).ok()
    }

    async fn read_oembed(&self, wish: &Wish, link: &Link, at: &Url, deadline: Instant) -> Result<OEmbed, String> {
        let answer = self.site.ask(&link.url, wish.asker(OEMBEDS, deadline)).await?;
        let stream = Stream::new(answer.response, self.config.read_timeout, deadline);
        let (bytes, format, at) = (stream.read_all(OEMBED_BYTES).await?, link.format, at.clone());
        let parsing = tokio::task::spawn_blocking(move || OEmbed::parse(&bytes, format, &at)).await;
        parsing.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn is_silent(read: &Read) -> bool {
    let preview = match read {
        Read::Page(page) => page.preview(None),
        Read::Picture(preview, _) | Read::Other(preview) => preview.clone(),
    };
    preview.pictures().is_empty() && preview.answer(None).is_empty()
}
