//! Refusing an upload whose body is still on its way.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web::Payload};
use heliograph_runtime::{answer_and_drop_rest, has_body};

use crate::{routes::Outcome, server::Front};

/// The answer to a request. If it is refused, the rest of its body is read and dropped.
pub(crate) async fn answer_or_refuse(
    front: &Front,
    request: &HttpRequest,
    outcome: Outcome,
    rest: Payload,
) -> HttpResponse {
    match outcome {
        Ok(answer) => answer,
        Err(error) if has_body(request) => {
            let most_bytes = front.config.drained_bytes.as_u64();
            answer_and_drop_rest(request, error.error_response(), rest, most_bytes).await
        }
        Err(error) => HttpResponse::from_error(error),
    }
}
