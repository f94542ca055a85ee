//! The HTTP server: how its connections are treated.
//!
//! Put together as that of the core is, and for the same reason: an upload that is not welcome is
//! refused before `100 Continue`.

use std::{io, net::TcpListener, num::NonZeroUsize, rc::Rc, sync::Arc, time::Duration};

use actix_http::{HttpService, KeepAlive, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App,
    dev::{AppConfig, ServiceRequest},
    middleware::from_fn,
    web::Data,
};
use heliograph_runtime::{Health, HttpSpans};

use crate::{admit, routes, server::Edge};

/// The longest that requests in progress may take after shutdown began; the process ends
/// earlier if its own grace is shorter.
const DRAIN_SECONDS: u64 = 24 * 60 * 60;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const DISCONNECT: Duration = Duration::from_secs(5);

/// Answers on `listener` when it is awaited.
pub(crate) fn start(edge: Data<Edge>, health: Health, listener: TcpListener) -> io::Result<Server> {
    let workers = edge.config.workers.map_or_else(available_cores, NonZeroUsize::get);
    let connections = (edge.config.max_connections / workers).max(1);
    let head_timeout = edge.config.head_timeout;
    let service = move || {
        let (edge, health) = (edge.clone(), health.clone());
        let (asked, shutdown) = (edge.clone(), edge.shutdown.clone());
        let spans = Rc::new(HttpSpans::default());
        let expect = fn_service(move |request: Request| {
            let edge = asked.clone();
            async move { admit::admit(&edge, request).await }
        });
        let app = App::new()
            .app_data(edge)
            .wrap(from_fn(heliograph_runtime::cors))
            .wrap(from_fn(heliograph_runtime::farewell))
            .wrap(from_fn(move |request: ServiceRequest, next| {
                Rc::clone(&spans).surround(request.match_pattern().map(Arc::from), request, next)
            }))
            .configure(|config| heliograph_runtime::configure_health(config, &health))
            .configure(routes::configure);
        let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            // The end of an answer does not wait until the client has acknowledged what came before.
            .tcp_nodelay(true)
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(DISCONNECT)
            // A client that hangs up is gone: what it waited for ends.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || shutdown.clone().cancelled_owned())
            .expect(expect)
            .finish(map_config(app, |()| AppConfig::default()))
            .tcp()
    };
    let server = Server::build()
        .disable_signals()
        .max_concurrent_connections(connections)
        .shutdown_timeout(DRAIN_SECONDS)
        .workers(workers)
        .listen("edge", listener, service)?;
    Ok(server.run())
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}
