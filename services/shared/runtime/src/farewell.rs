//! What a server over HTTP says when it ends: this connection is not to be used again.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Data,
};

use crate::Health;

/// The middleware, for `actix_web::middleware::from_fn`, above
/// [`configure_health`](crate::configure_health). While the process leaves, each answer closes its
/// connection: so a proxy that keeps connections has none left when nothing is accepted any more,
/// and does not send a request into one that is just being closed.
pub async fn farewell(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_leaving = request.app_data::<Data<Health>>().is_some_and(|health| health.readiness.is_draining());
    let mut answer = next.call(request).await?;
    if is_leaving {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::{App, middleware::from_fn, test};

    use super::*;
    use crate::{Metrics, Readiness, configure_health};

    #[actix_web::test]
    async fn who_leaves_closes_each_connection_with_its_answer() {
        let readiness = Readiness::default();
        let health = Health { readiness: readiness.clone(), metrics: Metrics::detached() };
        let app = App::new().wrap(from_fn(farewell)).configure(|config| configure_health(config, &health));
        let app = test::init_service(app).await;
        let closes = async || {
            let answer = test::call_service(&app, test::TestRequest::get().uri("/livez").to_request()).await;
            answer.response().head().connection_type() == ConnectionType::Close
        };

        assert!(!closes().await);
        readiness.drain();

        assert!(closes().await);
    }
}
