//! `/livez`, `/readyz` and `/metrics`.

use std::{io, net::TcpListener};

use actix_web::{
    App, HttpResponse, HttpServer, Route,
    dev::Server,
    guard,
    web::{self, Data, ServiceConfig},
};
use tokio_util::sync::CancellationToken;

use crate::{Metrics, Readiness};

/// What the health endpoints show.
#[derive(Debug, Clone)]
pub struct Health {
    /// Behind `/readyz`.
    pub readiness: Readiness,
    /// Behind `/metrics`.
    pub metrics: Metrics,
}

/// Adds the health endpoints to an HTTP server.
pub fn configure_health(config: &mut ServiceConfig, health: &Health) {
    config
        .app_data(Data::new(health.clone()))
        .route("/livez", reading().to(live))
        .route("/readyz", reading().to(ready))
        .route("/metrics", reading().to(show_metrics));
}

/// Some probes want no body.
fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Serves the health endpoints alone, for roles without HTTP, until `shutdown`.
pub async fn serve_health(listener: TcpListener, health: Health, shutdown: CancellationToken) -> io::Result<()> {
    let server = HttpServer::new(move || App::new().configure(|config| configure_health(config, &health)))
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    run_until(server, shutdown).await
}

/// Runs an HTTP server until `shutdown`, then until the requests in progress are answered.
pub async fn run_until(server: Server, shutdown: CancellationToken) -> io::Result<()> {
    let handle = server.handle();
    let stop = async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    };
    let (result, ()) = tokio::join!(server, stop);
    result
}

/// The process runs. It is not asked about others: restarting it would not bring them back.
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "alive": true }))
}

async fn ready(health: Data<Health>) -> HttpResponse {
    let report = health.readiness.report().await;
    let mut answer = if report.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header(("cache-control", "no-store")).json(report)
}

async fn show_metrics(health: Data<Health>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(health.metrics.text())
}

#[cfg(test)]
mod tests {
    use actix_web::{http::StatusCode, test};
    use serde_json::{Value, json};

    use super::*;

    async fn ask(readiness: &Readiness, path: &str) -> (StatusCode, Value) {
        let health = Health { readiness: readiness.clone(), metrics: Metrics::detached() };
        let app = test::init_service(App::new().configure(|config| configure_health(config, &health))).await;
        let answer = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        (answer.status(), test::read_body_json(answer).await)
    }

    #[actix_web::test]
    async fn a_process_whose_dependencies_answer_is_ready() {
        let readiness = Readiness::default();
        readiness.require("store", "", || async { Ok(()) });

        let (status, body) = ask(&readiness, "/readyz").await;

        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, json!({"ready": true, "draining": false, "ok": ["store"], "failing": {}, "degraded": {}}));
    }

    #[actix_web::test]
    async fn a_failing_dependency_is_named_but_does_not_end_the_process() {
        let readiness = Readiness::default();
        readiness.require("store", "mount it", || async { Err("read-only".to_owned()) });

        let (status, body) = ask(&readiness, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["failing"], json!({"store": "read-only: mount it"}));

        let (status, _) = ask(&readiness, "/livez").await;
        assert_eq!(status, StatusCode::OK);
    }

    #[actix_web::test]
    async fn a_process_that_ends_is_not_ready() {
        let readiness = Readiness::default();
        readiness.drain();

        let (status, body) = ask(&readiness, "/readyz").await;

        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["draining"], true);
    }
}
