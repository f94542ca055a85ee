//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}[/{fileName}]`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
//!
//! And the same without authentication under `/_matrix/media`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::HttpRequest;
use futures_util::TryStreamExt;
use heliograph_catalog::{Lookup, MediaRecord};
use heliograph_matrix::Requester;
use heliograph_proto::{Fetch, RemoteMedia};
use heliograph_types::{ErrorCode, Failure, FileName, Mxc, ServerName};
use url::Url;

use crate::{
    address, auth, deliver,
    error::ApiError,
    headers::Caching,
    limits::Caller,
    meters::Phase,
    metrics,
    params::{self, Query},
    redirect::{self, Wanted, Who, Wish},
    routes::{Call, Outcome},
    server::Front,
};

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, requester: Requester) -> Outcome {
    let asked = authenticated(front, request, &requester).await?;
    respond(front, request, asked).await
}

pub(crate) async fn handle_legacy(Call { front, request, .. }: Call<'_>) -> Outcome {
    let asked = legacy(front, request).await?;
    respond(front, request, asked).await
}

/// Who asks, and what that allows.
pub(crate) struct Asked {
    /// Our name, in which another server is asked.
    pub(crate) tenant: ServerName,
    /// Whose limits count.
    pub(crate) caller: Caller,
    pub(crate) caching: Caching,
    allow_remote: bool,
    /// Whether the freeze of unauthenticated media applies.
    freezes: bool,
    sees_quarantined: bool,
    /// Whether it may be sent somewhere else.
    pub(crate) wish: Wish,
}

/// What a request with a token may.
pub(crate) async fn authenticated(
    front: &Front,
    request: &HttpRequest,
    requester: &Requester,
) -> Result<Asked, ApiError> {
    let query = Query::of(request);
    let bypass = query.find_bool(&["admin_unsafely_bypass_quarantine"]).ok().flatten().unwrap_or(false);
    let sees_quarantined = bypass && auth::find_administrator(front, request, requester).await?.is_some();
    let wish = Wish::of_client(&query);
    Ok(Asked {
        tenant: requester.user_id.server_name(),
        caller: Caller::of(front, request, requester),
        caching: Caching::Private,
        allow_remote: true,
        freezes: false,
        sees_quarantined,
        // No other place would believe that he may see it.
        wish: if sees_quarantined { wish.but_never() } else { wish },
    })
}

/// What a request without a token may.
pub(crate) async fn legacy(front: &Front, request: &HttpRequest) -> Result<Asked, ApiError> {
    let query = Query::of(request);
    let allow_remote = query.find_bool(&["allow_remote"])?.unwrap_or(true);
    let caller = Caller::Address(address::of(front, request));
    front.limits.anonymous(&caller).await?;
    Ok(Asked {
        tenant: front.tenant_by_host(request),
        caller,
        caching: Caching::Public,
        allow_remote,
        freezes: true,
        sees_quarantined: false,
        wish: Wish::of_legacy(&query),
    })
}

async fn respond(front: &Front, request: &HttpRequest, asked: Asked) -> Outcome {
    let mxc = params::mxc(request)?;
    let wait = Query::of(request).wait(front.config.max_wait)?;
    let name = params::text_segment(request, "file_name").and_then(|name| FileName::new(&name));
    let begun = Instant::now();
    let mut found = find(front, &mxc, &asked, wait).await?;
    front.meters.took(Phase::Record, begun.elapsed());
    if let Found::Stored(record) = &found {
        match stored(front, request, &asked, record, name.as_ref()).await {
            Err(error) if record.is_remote_copy() && error.is_not_found() => {
                found = find_again(front, &mxc, &asked, wait).await?;
            }
            answer => return answer,
        }
    }
    match found {
        Found::Stored(record) => stored(front, request, &asked, &record, name.as_ref()).await,
        Found::Elsewhere(base) => redirect::to_origin(&base, &mxc, &Wanted::File(name.as_ref()), wait),
        Found::Arriving(media) if deliver::is_cut_unseen(request, &media) => {
            await_copy(front, &asked, media).await?;
            let record = front.catalog.find(&mxc).await?.ok_or_else(Failure::not_found)?;
            deliver::stored(front, request, &record, name.as_ref(), asked.caching).await
        }
        Found::Arriving(media) => {
            deliver::arriving(front, request, &asked, (&mxc.server_name, media), name.as_ref()).await
        }
    }
}

async fn stored(
    front: &Front,
    request: &HttpRequest,
    asked: &Asked,
    record: &MediaRecord,
    name: Option<&FileName>,
) -> Outcome {
    match redirect::content(front, request, asked.wish, record, name).await {
        Some(redirect) => Ok(redirect),
        None => deliver::stored(front, request, record, name, asked.caching).await,
    }
}

/// A copy went after its record was read, and the record with it: then it is fetched again.
pub(crate) async fn find_again(front: &Front, mxc: &Mxc, asked: &Asked, wait: Duration) -> Result<Found, ApiError> {
    front.catalog.forget(mxc);
    find(front, mxc, asked, wait).await
}

/// Waits until what arrives is here as a whole: its body ends when the copy is durable.
pub(crate) async fn await_copy(front: &Front, asked: &Asked, media: RemoteMedia) -> Result<(), ApiError> {
    let body = front.limits.meter(&asked.caller, media.size_bytes, media.body).await?;
    Ok(body.try_for_each(|_| std::future::ready(Ok(()))).await?)
}

/// Where content is.
pub(crate) enum Found {
    /// Here.
    Stored(Arc<MediaRecord>),
    /// On its way from its server.
    Arriving(RemoteMedia),
    /// At its server, which is found here, and nowhere else.
    Elsewhere(Url),
}

/// Finds content here or at its server, waiting for it as long as the caller wants.
pub(crate) async fn find(front: &Front, mxc: &Mxc, asked: &Asked, wait: Duration) -> Result<Found, ApiError> {
    if !front.is_ours(&mxc.server_name) {
        return find_remote(front, mxc, asked, wait).await;
    }
    // What is pending is told as such before the freeze: tests of the specification rely on it.
    let record = local(front, mxc, wait).await?;
    check(front, &record, asked)?;
    Ok(Found::Stored(record))
}

async fn find_remote(front: &Front, mxc: &Mxc, asked: &Asked, wait: Duration) -> Result<Found, ApiError> {
    if let Some(found) = find_known(front, mxc, asked).await? {
        return Ok(found);
    }
    front.limits.fetch(&asked.caller).await?;
    fetch(front, mxc, asked, wait, false).await.map(Found::Arriving)
}

/// Finds content of another server as far as nobody need be asked for it. Nothing means that its
/// server may be.
pub(crate) async fn find_known(front: &Front, mxc: &Mxc, asked: &Asked) -> Result<Option<Found>, ApiError> {
    if !asked.allow_remote {
        return Err(Failure::not_found().into());
    }
    if let Some(record) = front.catalog.find(mxc).await? {
        check(front, &record, asked)?;
        front.reads.note(mxc);
        return Ok(Some(Found::Stored(record)));
    }
    if front.is_blocked(&mxc.server_name) {
        metrics::limited("blocked_servers");
        return Err(Failure::not_found().into());
    }
    if !front.takes_in_remote_media {
        return find_elsewhere(front, mxc, asked).await.map(Some);
    }
    // What came in now would be newer than the freeze.
    if asked.freezes && !front.freeze.admits_new(mxc) {
        return Err(Failure::not_found().into());
    }
    Ok(None)
}

/// Asks the fetcher. Large content is `RemoteTooLarge` to who can do with a thumbnail.
pub(crate) async fn fetch(
    front: &Front,
    mxc: &Mxc,
    asked: &Asked,
    wait: Duration,
    for_thumbnail: bool,
) -> Result<RemoteMedia, ApiError> {
    let fetch = Fetch { tenant: asked.tenant.clone(), mxc: mxc.clone(), timeout: wait, for_thumbnail };
    Ok(front.federation.fetch(fetch).await?)
}

/// Only a legacy request that copes with it is sent to another server: what a client with a token
/// wants is mostly frozen on the paths there that need none.
async fn find_elsewhere(front: &Front, mxc: &Mxc, asked: &Asked) -> Result<Found, ApiError> {
    if asked.wish.who != Who::Legacy || !asked.wish.allows {
        return Err(Failure::not_found().into());
    }
    front.limits.fetch(&asked.caller).await?;
    Ok(Found::Elsewhere(front.federation.locate(&mxc.server_name).await?))
}

/// Whether the caller may have what is here. What it may not have is not found.
fn check(front: &Front, record: &MediaRecord, asked: &Asked) -> Result<(), ApiError> {
    if asked.freezes && !front.freeze.admits(record) {
        return Err(Failure::not_found().into());
    }
    check_wanted(front, record, asked.sees_quarantined)
}

/// Nobody but an administrator who insists gets what is quarantined, or whose content or server is
/// blocked.
pub(crate) fn check_wanted(front: &Front, record: &MediaRecord, sees_quarantined: bool) -> Result<(), ApiError> {
    let is_blocked = front.catalog.is_blocked(&record.sha256) || front.is_blocked(&record.mxc.server_name);
    let is_wanted = record.quarantined.is_none() && !is_blocked;
    if is_wanted || sees_quarantined { Ok(()) } else { Err(Failure::not_found().into()) }
}

/// Waits for content; shutdown ends the wait.
async fn wait_for(front: &Front, mxc: &Mxc, wait: Duration, pending: Lookup) -> Result<Lookup, ApiError> {
    tokio::select! {
        lookup = front.catalog.lookup_patiently(mxc, wait) => Ok(lookup?),
        () = front.shutdown.cancelled() => Ok(pending),
    }
}

/// Local content, waiting for it within a bounded number of waiters.
pub(crate) async fn local(front: &Front, mxc: &Mxc, wait: Duration) -> Result<Arc<MediaRecord>, ApiError> {
    let mut lookup = front.catalog.lookup(mxc).await?;
    if matches!(lookup, Lookup::Pending(_)) {
        match front.waiting.try_acquire() {
            Ok(_permit) => lookup = wait_for(front, mxc, wait, lookup).await?,
            Err(_) => metrics::limited("waiting"),
        }
    }
    match lookup {
        Lookup::Ready(record) => Ok(record),
        Lookup::Missing => Err(Failure::not_found().into()),
        Lookup::Pending(_) => Err(ApiError::new(ErrorCode::NotYetUploaded, "the content is not yet uploaded")),
    }
}
