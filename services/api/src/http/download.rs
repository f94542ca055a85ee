//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}[/{fileName}]`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
//!
//! And the same without authentication under `/_matrix/media`.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use heliograph_catalog::{Lookup, MediaRecord};
use heliograph_proto::{Fetch, RemoteMedia};
use heliograph_types::{ErrorCode, Failure, FileName, Mxc, ServerName};

use crate::{
    auth, deliver,
    error::ApiError,
    headers::Caching,
    metrics,
    params::{self, Query},
    server::Front,
};

pub(crate) async fn handle(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let asked = authenticated(&front, &request).await?;
    respond(&front, &request, asked).await
}

pub(crate) async fn handle_legacy(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let asked = legacy(&front, &request)?;
    respond(&front, &request, asked).await
}

/// Who asks, and what that allows.
pub(crate) struct Asked {
    /// Our name, in which another server is asked.
    pub(crate) tenant: ServerName,
    pub(crate) caching: Caching,
    pub(crate) allow_remote: bool,
}

/// What a request with a token may.
pub(crate) async fn authenticated(front: &Front, request: &HttpRequest) -> Result<Asked, ApiError> {
    let requester = auth::user_or_guest(front, request).await?;
    Ok(Asked { tenant: requester.user_id.server_name(), caching: Caching::Private, allow_remote: true })
}

/// What a request without a token may.
pub(crate) fn legacy(front: &Front, request: &HttpRequest) -> Result<Asked, ApiError> {
    let allow_remote = Query::of(request).find_bool(&["allow_remote"])?.unwrap_or(true);
    Ok(Asked { tenant: front.tenant_by_host(request), caching: Caching::Public, allow_remote })
}

async fn respond(front: &Front, request: &HttpRequest, asked: Asked) -> Result<HttpResponse, ApiError> {
    let mxc = params::mxc(request)?;
    let wait = Query::of(request).wait(front.config.max_wait)?;
    let name = params::text_segment(request, "file_name").and_then(|name| FileName::new(&name));
    let caching = asked.caching;
    match find(front, &mxc, asked, wait).await? {
        Found::Stored(record) => deliver::stored(front, request, &record, name.as_ref(), caching).await,
        Found::Arriving(media) => Ok(deliver::arriving(request, media, name.as_ref(), caching)),
    }
}

/// Where content is.
pub(crate) enum Found {
    /// Here.
    Stored(Arc<MediaRecord>),
    /// On its way from its server.
    Arriving(RemoteMedia),
}

/// Finds content here or at its server, waiting for it as long as the caller wants.
pub(crate) async fn find(front: &Front, mxc: &Mxc, asked: Asked, wait: Duration) -> Result<Found, ApiError> {
    if front.is_ours(&mxc.server_name) {
        return local(front, mxc, wait).await.map(Found::Stored);
    }
    if !asked.allow_remote {
        return Err(Failure::not_found().into());
    }
    if let Some(record) = front.catalog.find(mxc).await? {
        return Ok(Found::Stored(record));
    }
    let fetch = Fetch { tenant: asked.tenant, mxc: mxc.clone(), timeout: wait };
    front.federation.fetch(fetch).await.map(Found::Arriving).map_err(ApiError::from)
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
