//! Who makes a request: a user by token, an administrator, or another server by signature.

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{AUTHORIZATION, HeaderMap},
    },
};
use heliograph_matrix::{AuthError, Credentials, Presented, Requester, SignedRequest};
use heliograph_types::{ErrorCode, Failure, Secret, ServerName, UserId};
use sha2::{Digest, Sha256};

use crate::{address, error::ApiError, metrics, params::Query, server::Front};

/// At most so many signatures of one request are tried (one per key of the origin).
const MOST_SIGNATURES: usize = 4;

/// The user who makes a request; guests too.
pub(crate) async fn user_or_guest(front: &Front, request: &HttpRequest) -> Result<Requester, ApiError> {
    who_shows(front, request.headers(), &Query::of(request)).await
}

/// The user, or guest, whose token is in these headers or this query.
async fn who_shows(front: &Front, headers: &HeaderMap, query: &Query<'_>) -> Result<Requester, ApiError> {
    let token = find_token_in(front, headers, query).ok_or_else(missing_token)?;
    let text = |names: &[&str]| query.find(names).map(str::to_owned);
    let presented = Presented {
        token: Secret::new(token),
        user_id: text(&["user_id"]),
        device_id: text(&["device_id", "org.matrix.msc3202.device_id"]),
    };
    front.tokens.check(&presented).await.map_err(refused)
}

/// The user who makes a request; guests are refused.
pub(crate) async fn user(front: &Front, request: &HttpRequest) -> Result<Requester, ApiError> {
    user_who_shows(front, request.headers(), &Query::of(request)).await
}

/// The user whose token is in these headers or this query; guests are refused.
pub(crate) async fn user_who_shows(
    front: &Front,
    headers: &HeaderMap,
    query: &Query<'_>,
) -> Result<Requester, ApiError> {
    let requester = who_shows(front, headers, query).await?;
    if requester.is_guest {
        return Err(ApiError::new(ErrorCode::GuestAccessForbidden, "guests may only read"));
    }
    Ok(requester)
}

/// A suspended account may read, but not add anything. Told only by homeservers whose
/// `admin_token` we have.
pub(crate) async fn not_suspended(front: &Front, requester: &Requester) -> Result<(), ApiError> {
    match front.homeservers.is_suspended(&requester.user_id).await {
        Ok(true) => Err(ApiError::new(ErrorCode::UserSuspended, "this account is suspended")),
        Ok(false) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "whether an account is suspended is not known");
            Ok(())
        }
    }
}

/// Somebody who may decide about the media of others.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    pub(crate) user_id: UserId,
    pub(crate) authority: Authority,
}

/// About which media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// All that are here: named in the settings.
    Everything,
    /// Those of one homeserver, which says so.
    Server(ServerName),
}

/// The administrator who makes a request.
pub(crate) async fn administrator(front: &Front, request: &HttpRequest) -> Result<Administrator, ApiError> {
    let requester = user_or_guest(front, request).await?;
    let found = find_administrator(front, request, &requester).await?;
    found.ok_or_else(|| ApiError::new(ErrorCode::Forbidden, "you are not a server admin"))
}

/// Whether whoever makes a request is an administrator.
pub(crate) async fn find_administrator(
    front: &Front,
    request: &HttpRequest,
    requester: &Requester,
) -> Result<Option<Administrator>, ApiError> {
    let user_id = requester.user_id.clone();
    if front.config.administrators.contains(&user_id) {
        return Ok(Some(Administrator { user_id, authority: Authority::Everything }));
    }
    if !front.config.homeserver_administrators || requester.is_guest || requester.is_application_service {
        return Ok(None);
    }
    let token = find_token(front, request).map(Secret::new).ok_or_else(missing_token)?;
    let is_admin = front.homeservers.is_admin(&user_id, &token).await.map_err(refused)?;
    let authority = Authority::Server(user_id.server_name());
    Ok(is_admin.then_some(Administrator { user_id, authority }))
}

/// The token of a request, if it has one.
pub(crate) fn find_token(front: &Front, request: &HttpRequest) -> Option<String> {
    find_token_in(front, request.headers(), &Query::of(request))
}

/// Stands for the token of a request where it must not be kept.
pub(crate) fn token_digest(front: &Front, request: &HttpRequest) -> String {
    hex::encode(Sha256::digest(find_token(front, request).unwrap_or_default()))
}

/// There is no token.
pub(crate) fn missing_token() -> ApiError {
    ApiError::new(ErrorCode::MissingToken, "an access token is needed")
}

/// The header wins over the query.
fn find_token_in(front: &Front, headers: &HeaderMap, query: &Query<'_>) -> Option<String> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let from_query = || query.find(&["access_token"]).filter(|_| front.config.query_token);
    bearer.map(|(_, token)| token.trim()).or_else(from_query).filter(|token| !token.is_empty()).map(str::to_owned)
}

/// What the client is told when the homeserver refuses, or cannot be asked.
pub(crate) fn refused(error: AuthError) -> ApiError {
    match error {
        AuthError::Refused(refusal) => match status(refusal.status) {
            Ok(status) => ApiError::Homeserver { status, body: refusal.body, retry_after: refusal.retry_after },
            Err(error) => error,
        },
        AuthError::Unavailable(reason) => {
            tracing::warn!(reason, "a token could not be checked");
            ApiError::new(ErrorCode::Unavailable, "the homeserver is out of reach")
        }
    }
}

/// A status of the homeserver that is to be passed on.
pub(crate) fn status(status: u16) -> Result<StatusCode, ApiError> {
    StatusCode::from_u16(status)
        .map_err(|_| Failure::new(ErrorCode::BadGateway, "the homeserver answers nonsense").into())
}

/// Another server that has signed its request.
pub(crate) struct Signer {
    /// Who.
    pub(crate) origin: ServerName,
    /// Which of our names it has asked.
    pub(crate) destination: ServerName,
}

/// The server that signed a request. Whatever is wrong is 401, and nothing else is told;
/// without room to look for its key it is 429. Who says to be a server that is blocked is 403
/// at once: to find out whether it is would be to ask it for its keys.
pub(crate) async fn server(front: &Front, request: &HttpRequest) -> Result<Signer, ApiError> {
    front.limits.unverified(address::of(front, request)).await?;
    let headers = request.headers().get_all(AUTHORIZATION).filter_map(|value| value.to_str().ok());
    let mut last = unauthorized("an X-Matrix signature is needed");
    for credentials in headers.take(MOST_SIGNATURES).filter_map(|header| Credentials::parse(header).ok()) {
        match verify(front, request, credentials).await {
            Ok(signer) => return Ok(signer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn verify(front: &Front, request: &HttpRequest, credentials: Credentials) -> Result<Signer, ApiError> {
    let Credentials { origin, destination, key_id, signature } = credentials;
    if front.is_ours(&origin) {
        return Err(unauthorized("the request claims to come from ourselves"));
    }
    if front.is_blocked(&origin) {
        metrics::limited("blocked_servers");
        return Err(ApiError::new(ErrorCode::Forbidden, "this server is blocked here"));
    }
    let destinations = match destination {
        Some(destination) if front.is_ours(&destination) => vec![destination],
        Some(_) => return Err(unauthorized("the destination is not served here")),
        // Old servers leave it out, but sign it.
        None => front.server_names.clone(),
    };
    let Some(public_key) =
        front.remote_keys.find(&*front.federation, &*front.clock, &origin, &key_id.to_string()).await?
    else {
        return Err(unauthorized("the key of the origin cannot be had"));
    };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let method = request.method().as_str();
    let is_signed_for = |destination: &ServerName| {
        SignedRequest { method, target, origin: &origin, destination }.is_signed_by(&public_key, &signature)
    };
    match destinations.into_iter().find(is_signed_for) {
        Some(destination) => Ok(Signer { origin, destination }),
        None => Err(unauthorized("the signature is wrong")),
    }
}

fn unauthorized(reason: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, reason)
}
