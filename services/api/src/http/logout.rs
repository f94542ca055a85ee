//! `POST /_matrix/client/v3/logout` and `…/logout/all`
//! <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logout>
//!
//! Passed on to the homeserver; on the way back the token is forgotten, here and in every
//! other instance.

use std::sync::Arc;

use actix_web::HttpResponse;
use heliograph_matrix::{Reply, Requester};
use heliograph_types::Secret;

use crate::{
    auth,
    error::ApiError,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(call: Call<'_>, requester: Requester) -> Outcome {
    log_out(call, requester, false).await
}

pub(crate) async fn handle_all(call: Call<'_>, requester: Requester) -> Outcome {
    log_out(call, requester, true).await
}

async fn log_out(Call { front, request, .. }: Call<'_>, requester: Requester, everywhere: bool) -> Outcome {
    let token = auth::find_token(front, request).map(Secret::new).ok_or_else(auth::missing_token)?;
    let (homeservers, tokens) = (Arc::clone(&front.homeservers), Arc::clone(&front.tokens));
    let user_id = requester.user_id;
    // Also if the client leaves: once the homeserver has heard of it, everybody must.
    let logout = async move {
        let reply = homeservers.log_out(&user_id.server_name(), &token, everywhere).await;
        // Also if the answer was lost: the homeserver is asked again then.
        tokens.forget(&token).await;
        if everywhere {
            tokens.forget_user(&user_id).await;
        }
        Ok(reply)
    };
    pass_on(front.work.run_to_the_end(logout).await?.map_err(auth::refused)?)
}

/// The answer of the homeserver as it is.
pub(crate) fn pass_on(reply: Reply) -> Result<HttpResponse, ApiError> {
    let Reply { status, body, retry_after, cache_control } = reply;
    let status = auth::status(status)?;
    if status.is_success() {
        let cache_control = cache_control.unwrap_or_else(|| "private, no-store".to_owned());
        return Ok(HttpResponse::build(status)
            .insert_header(("cache-control", cache_control))
            .content_type("application/json")
            .body(body));
    }
    Err(ApiError::Homeserver { status, body, retry_after })
}
