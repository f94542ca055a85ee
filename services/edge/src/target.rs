//! Where the content of an id can be put without the core: asked of the core, and given back if
//! it comes to nothing.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::web::Data;
use heliograph_types::Timestamp;
use lru::LruCache;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::{
    caller::Caller,
    error::EdgeError,
    metrics,
    server::Edge,
    upload::Refusal,
    upstream::{Answer, unreachable},
};

/// The core lets go of a claim that is not kept for three times as long.
const KEEP_EVERY: Duration = Duration::from_secs(10);
const CLAIM: &str = "org.heliograph.claim";
/// The last part of an upload: what takes long there is the copy that the bucket makes.
const TRIES: usize = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// An id that expires sooner is not used again.
const LEAST_LIFETIME: Duration = Duration::from_hours(1);

/// An id, and where its content can be put.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `<server name>/<media id>`, as it stands in a path.
    pub(crate) id: String,
    /// `None` if it has to go through the core.
    pub(crate) url: Option<Url>,
    /// The right to complete, if others could want to as well.
    claim: Option<String>,
    expires_at: Timestamp,
}

/// A new id of the caller: one that came to nothing before, or one of the core's.
pub(crate) async fn new_id(edge: &Edge, caller: &Caller) -> Result<Place, Refusal> {
    if let Some(spare) = edge.spares.take(caller, edge.clock.now() + LEAST_LIFETIME) {
        return Ok(spare);
    }
    let answer = caller.ask(edge, Method::POST, "/_matrix/media/v1/create", &[]).await?;
    if answer.status != StatusCode::OK {
        return Err(Refusal::Core(answer));
    }
    let json = answer.json();
    let uri = json["content_uri"].as_str().and_then(|uri| uri.strip_prefix("mxc://"));
    Ok(Place {
        id: uri.ok_or_else(|| unreachable("create without an id"))?.to_owned(),
        url: json["com.beeper.msc3870.upload_url"].as_str().and_then(|url| url.parse().ok()),
        claim: None,
        expires_at: Timestamp::from_millis(json["unused_expires_at"].as_u64().unwrap_or_default()),
    })
}

/// An id that was created before. `None` if its content has to go through the core.
pub(crate) async fn given_id(edge: &Edge, caller: &Caller, id: &str) -> Result<Option<Place>, Refusal> {
    let answer = caller.ask(edge, Method::POST, &target_of(id), &[]).await?;
    if answer.is_unrecognized() || answer.status == StatusCode::SERVICE_UNAVAILABLE {
        return Ok(None);
    }
    if answer.status != StatusCode::OK {
        return Err(Refusal::Core(answer));
    }
    let json = answer.json();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Ok(Some(Place {
        id: id.to_owned(),
        url: text("upload_url").and_then(|url| url.parse().ok()),
        claim: text("claim"),
        expires_at: Timestamp::from_millis(0),
    }))
}

fn target_of(id: &str) -> String {
    format!("/_matrix/media/unstable/org.heliograph/upload/{id}/target")
}

/// Holds on to the claim on a place; ends only if it is another's.
pub(crate) async fn keep(edge: &Edge, caller: &Caller, place: &Place) {
    let Some(claim) = &place.claim else { return std::future::pending().await };
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        let kept = caller.ask(edge, Method::POST, &target_of(&place.id), &[(CLAIM, claim)]).await;
        if kept.is_ok_and(|answer| answer.status == StatusCode::CONFLICT) {
            return;
        }
    }
}

/// Makes what was put there the content of the id.
pub(crate) async fn complete(
    edge: &Edge,
    caller: &Caller,
    place: &Place,
    file_name: Option<&str>,
) -> Result<Answer, EdgeError> {
    let path = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{}/complete", place.id);
    let claim = place.claim.as_deref().map(|claim| (CLAIM, claim));
    let parameters: Vec<(&str, &str)> = file_name.map(|name| ("filename", name)).into_iter().chain(claim).collect();
    let mut tries = 1;
    loop {
        // It may be asked again: what is complete stays so.
        let answer = caller.ask(edge, Method::POST, &path, &parameters).await;
        let may_help = answer.as_ref().map_or(true, |answer| answer.status.is_server_error());
        if !may_help || tries == TRIES {
            return answer;
        }
        tries += 1;
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// A place whose upload is not done. Dropped, it is given back.
pub(crate) struct Unfinished {
    edge: Data<Edge>,
    caller: Caller,
    place: Option<Place>,
}

impl Unfinished {
    pub(crate) fn new(edge: Data<Edge>, caller: Caller, place: Place) -> Self {
        Self { edge, caller, place: Some(place) }
    }

    /// The upload is done, one way or another.
    pub(crate) fn done(mut self) {
        self.place = None;
    }

    /// The id must not be used again: something may have been put there.
    pub(crate) fn spoil(&mut self) {
        if let Some(place) = &mut self.place {
            place.expires_at = Timestamp::from_millis(0);
        }
    }

    /// The core has refused what was put there, and removed it.
    pub(crate) fn emptied(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let Some(claim) = place.claim.clone() else { return self.edge.spares.put(&self.caller, place) };
        let (edge, caller) = (self.edge.clone(), self.caller.clone());
        self.edge.spawn(async move {
            let answer = caller.ask(&edge, Method::DELETE, &target_of(&place.id), &[(CLAIM, &claim)]).await;
            // Nobody waits for it: the claim ends by itself as well.
            drop(answer);
        });
    }
}

/// Whether the core tells where content can be put. One that has just not done so is not asked.
#[derive(Default)]
pub(crate) struct Offers(AtomicU64);

const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);

impl Offers {
    pub(crate) fn none(&self, now: Timestamp) {
        self.0.store((now + ASK_AGAIN_AFTER).as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn may_come(&self, now: Timestamp) -> bool {
        now.as_millis() >= self.0.load(Ordering::Relaxed)
    }
}

/// Ids whose upload came to nothing, for the next one of the same caller: the core allows each
/// user only so many that are not filled.
pub(crate) struct Spares(Mutex<LruCache<[u8; 32], Vec<Place>>>);

const CALLERS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const PER_CALLER: usize = 8;

impl Default for Spares {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CALLERS)))
    }
}

impl Spares {
    fn take(&self, caller: &Caller, lives_until: Timestamp) -> Option<Place> {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = spares.get_mut(&caller.digest)?;
        own.retain(|place| place.expires_at > lives_until);
        own.pop()
    }

    fn put(&self, caller: &Caller, place: Place) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = spares.get_or_insert_mut(caller.digest, Vec::new);
        if own.len() < PER_CALLER {
            own.push(place);
        } else {
            metrics::limited("spare_ids");
        }
    }
}
