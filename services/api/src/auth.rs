//! Who makes a request: a user by token, or another server by signature.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header::AUTHORIZATION},
};
use heliograph_matrix::{AuthError, Credentials, Presented, Requester, SignedRequest};
use heliograph_types::{ErrorCode, Secret, ServerName};

use crate::{error::ApiError, params::Query, server::Front};

/// At most so many signatures of one request are tried (one per key of the origin).
const MOST_SIGNATURES: usize = 4;

/// The user who makes a request; guests too.
pub(crate) async fn user_or_guest(front: &Front, request: &HttpRequest) -> Result<Requester, ApiError> {
    let query = Query::of(request);
    let token = find_token(front, request, &query)
        .ok_or_else(|| ApiError::new(ErrorCode::MissingToken, "an access token is needed"))?;
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
    let requester = user_or_guest(front, request).await?;
    if requester.is_guest {
        return Err(ApiError::new(ErrorCode::GuestAccessForbidden, "guests may only read"));
    }
    Ok(requester)
}

/// The header wins over the query.
fn find_token(front: &Front, request: &HttpRequest, query: &Query) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let from_query = || query.find(&["access_token"]).filter(|_| front.config.query_token);
    bearer.map(|(_, token)| token.trim()).or_else(from_query).filter(|token| !token.is_empty()).map(str::to_owned)
}

fn refused(error: AuthError) -> ApiError {
    match error {
        AuthError::Refused(refusal) => ApiError::Homeserver {
            status: StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::UNAUTHORIZED),
            body: refusal.body,
            retry_after: refusal.retry_after,
        },
        AuthError::Unavailable(reason) => {
            tracing::warn!(reason, "a token could not be checked");
            ApiError::new(ErrorCode::Unavailable, "the homeserver is out of reach")
        }
    }
}

/// Another server that has signed its request.
pub(crate) struct Signer {
    /// Who.
    pub(crate) origin: ServerName,
    /// Which of our names it has asked.
    pub(crate) destination: ServerName,
}

/// The server that signed a request. Whatever is wrong is 401, and nothing else is told;
/// without room to look for its key it is 429.
pub(crate) async fn server(front: &Front, request: &HttpRequest) -> Result<Signer, ApiError> {
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
