//! Previews of URLs: from a wish to an answer that all instances remember for a time.
//!
//! Failures are remembered too, but for a short time and without a reason.

mod picture;
mod room;
mod rules;
mod site;
mod stream;
mod sweep;
mod unpack;
mod visit;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use heliograph_blobs::BlobStore;
use heliograph_leases::{Lease, State};
use heliograph_matrix::{Flights, GuardedClient, PreviewsConfig};
use heliograph_preview::{Languages, Lifetime};
use heliograph_proto::{Preview, UploadService};
use heliograph_types::{Clock, ErrorCode, Failure};
use sha2::{Digest, Sha256};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use self::{picture::Pictures, room::Room, rules::Rules, site::Site, visit::Wish};
use crate::metrics;

/// When to come again if there is no room.
const COME_AGAIN: Duration = Duration::from_secs(2);
/// How often to look for what another instance makes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same for all that cannot be had: nobody is to map a network by it.
const CANNOT_BE_HAD: &str = "there is no preview to be had of this URL";

/// What previews are made with.
pub struct PreviewsDeps {
    /// Their settings.
    pub config: PreviewsConfig,
    /// Their way out.
    pub client: GuardedClient,
}

/// What they share with the rest of the service.
pub(crate) struct Surroundings {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) uploads: Arc<dyn UploadService>,
    pub(crate) state: State,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
    /// How long finding and connecting may take besides the answer.
    pub(crate) until_connected: Duration,
}

/// The previews of one instance.
pub(crate) struct Previews {
    config: PreviewsConfig,
    site: Site,
    pictures: Pictures,
    state: State,
    clock: Arc<dyn Clock>,
    room: Room,
    flights: Flights<String, Result<Bytes, Failure>>,
    tasks: TaskTracker,
    runtime: Handle,
}

/// Who makes a preview.
enum Turn {
    /// We do.
    Ours(Option<Lease>),
    /// Another instance has.
    Theirs(Result<Bytes, Failure>),
}

impl Previews {
    pub(crate) fn start(deps: PreviewsDeps, around: Surroundings, shutdown: CancellationToken) -> Arc<Self> {
        let PreviewsDeps { config, client } = deps;
        let Surroundings { blobs, uploads, state, clock, tasks, runtime, until_connected } = around;
        let site = Site { client, rules: Rules::new(&config), read_timeout: config.read_timeout, until_connected };
        let most_bytes = config.max_picture_bytes.as_u64();
        let pictures = Pictures { blobs, uploads, state: State::clone(&state), clock: Arc::clone(&clock), most_bytes };
        let room = Room::new(&config);
        let flights = Flights::default();
        let previews =
            Arc::new(Self { config, site, pictures, state, clock, room, flights, tasks: tasks.clone(), runtime });
        tasks.spawn_on(sweep::run(Arc::clone(&previews), shutdown), &previews.runtime);
        previews
    }

    /// The preview, remembered or made.
    pub(crate) async fn find(self: &Arc<Self>, request: Preview) -> Result<Bytes, Failure> {
        self.site.check(&request.url).map_err(|refused| {
            tracing::info!(%refused, "a preview is refused");
            metrics::previewed("refused");
            Failure::new(ErrorCode::Forbidden, "this URL is not previewed here")
        })?;
        let Preview { tenant, url, languages, user } = request;
        let wish = Wish { tenant, url, languages: self.languages(&languages), user };
        let key = key_of(&wish);
        if let Some(known) = self.find_known(&key).await {
            metrics::previewed("remembered");
            return known;
        }
        self.flights.join(key.clone(), || self.make_in_background(key, wish)).await
    }

    fn languages(&self, header: &str) -> Languages {
        let wanted = Languages::parse(header);
        if wanted.to_header().is_empty() { Languages::parse(&self.config.languages) } else { wanted }
    }

    /// Goes on if nobody waits any more: what it brings is remembered.
    async fn make_in_background(self: &Arc<Self>, key: String, wish: Wish) -> Result<Bytes, Failure> {
        let previews = Arc::clone(self);
        let making =
            self.tasks.spawn_on(async move { previews.make(&key, &wish).await }.in_current_span(), &self.runtime);
        making.await.unwrap_or_else(|error| Err(Failure::internal(format!("the preview was not made: {error}"))))
    }

    async fn make(&self, key: &str, wish: &Wish) -> Result<Bytes, Failure> {
        let _place = self.room.enter(wish).map_err(|limit| {
            metrics::limited(limit);
            Failure::saturated("too many previews at once", COME_AGAIN)
        })?;
        let lease = match self.take_turn(key).await {
            Turn::Theirs(known) => return known,
            Turn::Ours(lease) => lease,
        };
        let outcome = self.visit_and_remember(key, wish).await;
        if let Some(lease) = lease
            && let Err(error) = self.state.release(&lease).await
        {
            tracing::debug!(%error, "the lease of a preview is left to end");
        }
        outcome
    }

    async fn visit_and_remember(&self, key: &str, wish: &Wish) -> Result<Bytes, Failure> {
        let began_at = Instant::now();
        let visited = self.visit(wish, began_at + self.config.timeout).await;
        metrics::preview_took(began_at.elapsed());
        let (answer, ttl) = match visited {
            Ok(visited) => (visited.answer, visited.lifetime),
            Err(reason) => {
                tracing::info!(reason, "there is no preview");
                (Bytes::new(), self.config.remember_failed)
            }
        };
        metrics::previewed(if answer.is_empty() { "failed" } else { "made" });
        if !ttl.is_zero()
            && let Err(error) = self.state.cache(key, answer.clone(), ttl).await
        {
            tracing::debug!(%error, "a preview is not remembered");
        }
        read_known(answer)
    }

    /// Waits while another instance makes the same.
    async fn take_turn(&self, key: &str) -> Turn {
        let ttl = self.config.timeout.saturating_mul(2);
        let patient_until = Instant::now() + ttl;
        let lease_key = format!("making:{key}");
        loop {
            let lease = match self.state.try_acquire(&lease_key, ttl).await {
                Ok(Some(lease)) => Some(lease),
                Ok(None) if Instant::now() < patient_until => {
                    sleep(LOOK_EVERY).await;
                    match self.find_known(key).await {
                        Some(known) => return Turn::Theirs(known),
                        None => continue,
                    }
                }
                Ok(None) | Err(_) => None,
            };
            // Whoever had the lease before may have made it just now.
            return match self.find_known(key).await {
                Some(known) => {
                    if let Some(lease) = lease {
                        drop(self.state.release(&lease).await);
                    }
                    Turn::Theirs(known)
                }
                None => Turn::Ours(lease),
            };
        }
    }

    async fn find_known(&self, key: &str) -> Option<Result<Bytes, Failure>> {
        match self.state.find_cached(key).await {
            Ok(known) => known.map(read_known),
            Err(error) => {
                tracing::debug!(%error, "previews are not remembered now");
                None
            }
        }
    }

    fn bounds(&self) -> Lifetime {
        let PreviewsConfig { min_lifetime, usual_lifetime, max_lifetime, .. } = self.config;
        Lifetime { shortest: min_lifetime, usual: usual_lifetime, longest: max_lifetime }
    }
}

/// What is empty stands for a failure: no JSON object is.
fn read_known(answer: Bytes) -> Result<Bytes, Failure> {
    if answer.is_empty() { Err(Failure::new(ErrorCode::BadGateway, CANNOT_BE_HAD)) } else { Ok(answer) }
}

fn key_of(Wish { tenant, url, languages, .. }: &Wish) -> String {
    let digest = Sha256::digest(format!("{tenant}\n{}\n{url}", languages.to_header()));
    format!("preview:{}", hex::encode(digest))
}
