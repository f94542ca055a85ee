//! The HTTP server: how its connections are treated.
//!
//! Put together from the parts of actix-web's own `HttpServer`, which always answers
//! `100 Continue` before anybody has looked at the request.

use std::{io, net::TcpListener, num::NonZeroUsize, rc::Rc, time::Duration};

use actix_http::{HttpService, KeepAlive, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::Data,
};
use heliograph_runtime::{Attentive, Health, HttpSpans, Line, Rest};

use crate::{
    expect,
    routes::{self, Places},
    server::Front,
};

/// The longest that requests in progress may take after shutdown began; the process ends
/// earlier if its own grace is shorter.
const DRAIN_SECONDS: u64 = 24 * 60 * 60;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// So little of an answer is left to be sent when more of it is read: what a slow reader holds.
const WAITING_BYTES: usize = 16 << 10;
const DISCONNECT: Duration = Duration::from_secs(5);

/// Answers on `listener` when it is awaited.
pub(crate) fn start(front: Data<Front>, health: Health, listener: TcpListener) -> io::Result<Server> {
    let workers = front.config.workers.map_or_else(available_cores, NonZeroUsize::get);
    let connections = (front.config.max_connections / workers).max(1);
    let head_timeout = front.config.head_timeout;
    let service = move || {
        let (asked, shutdown) = (front.clone(), front.shutdown.clone());
        let expect = fn_service(move |request: Request| {
            let front = asked.clone();
            async move { expect::admit(&front, request).await }
        });
        let app =
            app(front.clone(), health.clone()).into_factory().map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .h1_write_buffer_size(WAITING_BYTES)
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(DISCONNECT)
            // A client that hangs up is gone: what it waited for ends.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || shutdown.clone().cancelled_owned())
            .on_connect_ext(Line::introduce)
            .expect(expect)
            .finish(Attentive(map_config(app, |()| AppConfig::default())));
        Rest { http, keep_alive: KEEP_ALIVE, shutdown: front.shutdown.clone() }
    };
    let server = Server::build()
        .disable_signals()
        .max_concurrent_connections(connections)
        .shutdown_timeout(DRAIN_SECONDS)
        .workers(workers)
        .listen("http", listener, service)?;
    Ok(server.run())
}

/// What answers: one for each thread.
pub(crate) fn app(
    front: Data<Front>,
    health: Health,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + 'static>,
        Error = Error,
        InitError = (),
        Future: 'static,
    > + 'static,
> {
    let (spans, places) = (Rc::new(HttpSpans::default()), Rc::new(Places::new(&front.config)));
    let named = Rc::clone(&places);
    let surround = from_fn(move |request: ServiceRequest, next| {
        let route = named.name_of(request.match_info().as_str());
        Rc::clone(&spans).surround(route, request, next)
    });
    App::new()
        .app_data(front)
        .wrap(from_fn(heliograph_runtime::cors))
        .wrap(from_fn(heliograph_runtime::farewell))
        .wrap(surround)
        .configure(move |config| heliograph_runtime::configure_health(config, &health))
        .configure(|config| routes::configure(config, places))
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}
