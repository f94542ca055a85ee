//! Connections that rest.
//!
//! Between two requests the HTTP layer keeps what it has made for the last one: buffers of up to
//! 128 KiB. Most connections that are kept alive are silent most of the time. So a connection that
//! has been silent for a moment gives all of that back and is nothing but its socket, until the
//! client sends more or has been silent for too long.

mod line;

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{Protocol, Request, Response, error::DispatchError};
use actix_service::{Service, ServiceFactory};
use actix_web::{HttpMessage, body::MessageBody, dev::ServiceResponse, rt::net::TcpStream};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

pub use self::line::{Answer, Line};

/// A client that asks again within this time finds everything as it was. To begin anew costs less
/// than a hundredth of a download: what counts is how many are awake at a time.
const AWAKE: Duration = Duration::from_millis(200);

/// So many may be awake on one thread before silence counts sooner: together they hold some megabytes then.
const MANY: usize = 256;
/// As `AWAKE`, among many.
const AWAKE_AMONG_MANY: Duration = Duration::from_millis(20);

/// What the HTTP layer is called with.
type Call = (Line, Protocol, Option<SocketAddr>);

/// Serves each connection by `http`, and lets it rest between requests for up to `keep_alive`.
/// The service in `http` must be within [`Attentive`], and `Line::introduce` its `on_connect_ext`.
#[derive(Debug)]
pub struct Rest<F> {
    /// Makes what serves.
    pub http: F,
    /// The longest silence.
    pub keep_alive: Duration,
    /// Ends the rest of all.
    pub shutdown: CancellationToken,
}

impl<F> ServiceFactory<TcpStream> for Rest<F>
where
    F: ServiceFactory<Call, Config = (), Response = (), Error = DispatchError, InitError = ()>,
    F::Future: 'static,
    F::Service: 'static,
    <F::Service as Service<Call>>::Future: 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Config = ();
    type Service = Resting<F::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http, keep_alive, shutdown) = (self.http.new_service(()), self.keep_alive, self.shutdown.clone());
        Box::pin(async move { Ok(Resting { http: Rc::new(http.await?), keep_alive, shutdown, awake: Rc::default() }) })
    }
}

/// What [`Rest`] makes, for one thread.
#[derive(Debug)]
pub struct Resting<S> {
    http: Rc<S>,
    keep_alive: Duration,
    shutdown: CancellationToken,
    /// How many connections are not at rest.
    awake: Rc<Cell<usize>>,
}

impl<S> Service<TcpStream> for Resting<S>
where
    S: Service<Call, Response = (), Error = DispatchError> + 'static,
    S::Future: 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Future = LocalBoxFuture<'static, Result<(), DispatchError>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), DispatchError>> {
        self.http.poll_ready(context)
    }

    fn call(&self, socket: TcpStream) -> Self::Future {
        let (http, keep_alive, shutdown) = (Rc::clone(&self.http), self.keep_alive, self.shutdown.clone());
        let awake = Rc::clone(&self.awake);
        Box::pin(async move {
            // The end of an answer does not wait until the client has acknowledged what came before.
            let _ = socket.set_nodelay(true);
            let peer = socket.peer_addr().ok();
            let line = Line::new(socket, Rc::clone(&awake));
            loop {
                let counted = Awake::new(&awake);
                // Boxed: while the line rests, none of it is there.
                Box::pin(http.call((line.clone(), Protocol::Http1, peer))).await?;
                drop(counted);
                let silence = shutdown.run_until_cancelled(tokio::time::timeout(keep_alive, line.more()));
                if !line.rests() || !matches!(silence.await, Some(Ok(()))) {
                    return Ok(());
                }
            }
        })
    }
}

/// One connection that is not at rest.
struct Awake(Rc<Cell<usize>>);

impl Awake {
    fn new(all: &Rc<Cell<usize>>) -> Self {
        all.set(all.get() + 1);
        Self(Rc::clone(all))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Tells the line of each request when it is at work.
#[derive(Debug)]
pub struct Attentive<S>(pub S);

impl<S: ServiceFactory<Request>> ServiceFactory<Request> for Attentive<S>
where
    S::Future: 'static,
    S::InitError: 'static,
    S::Service: 'static,
    Attentive<S::Service>: Service<Request>,
{
    type Response = <Attentive<S::Service> as Service<Request>>::Response;
    type Error = <Attentive<S::Service> as Service<Request>>::Error;
    type Config = S::Config;
    type Service = Attentive<S::Service>;
    type InitError = S::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, S::InitError>>;

    fn new_service(&self, config: S::Config) -> Self::Future {
        let inner = self.0.new_service(config);
        Box::pin(async move { inner.await.map(Attentive) })
    }
}

impl<S, B> Service<Request> for Attentive<S>
where
    S: Service<Request, Response = ServiceResponse<B>>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        let turn = request.conn_data::<Line>().map(|line| line.begin(request.headers()));
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer: Response<B> = answer.await?.into();
            let answer = answer.map_into_boxed_body();
            Ok(answer.map_body(|_, body| Answer::new(body, turn)))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use actix_http::{HttpService, KeepAlive};
    use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
    use actix_web::{App, dev::AppConfig, rt, web};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::Notify,
        time::{pause, sleep},
    };

    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(75);
    /// Long enough for every connection to rest that may.
    const SILENCE: Duration = AWAKE.saturating_mul(3);
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A client, and how often its connection has begun to speak HTTP.
    struct Scene {
        client: TcpStream,
        others: Rc<Cell<usize>>,
        awoken: Rc<Cell<usize>>,
        shutdown: CancellationToken,
        slow: Rc<Notify>,
    }

    impl Scene {
        /// Time goes on by itself when all wait for it.
        async fn new() -> Self {
            pause();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            let (awoken, slow) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
            let shutdown = CancellationToken::new();
            let (counted, waits) = (Rc::clone(&awoken), Rc::clone(&slow));
            let wait = move || {
                let waits = Rc::clone(&waits);
                async move {
                    waits.notified().await;
                    "late"
                }
            };
            let echo = |body: web::Bytes| async move { body };
            let app = App::new()
                .route("/", web::get().to(async || "x".repeat(100_000)))
                .route("/slow", web::get().to(wait))
                .route("/", web::post().to(echo));
            let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
            let http = HttpService::build()
                .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
                .h1_allow_half_closed(false)
                .on_connect_ext(move |line: &Line, data: &mut actix_http::Extensions| {
                    counted.set(counted.get() + 1);
                    line.introduce(data);
                })
                .finish(Attentive(map_config(app, |()| AppConfig::default())));
            let rest = Rest { http, keep_alive: KEEP_ALIVE, shutdown: shutdown.clone() };
            let service = rest.new_service(()).await.unwrap();
            let others = Rc::clone(&service.awake);
            rt::spawn(async move { service.call(socket).await });
            Self { client, others, awoken, shutdown, slow }
        }

        async fn send(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.unwrap();
        }

        /// The next answer, to its end.
        async fn receive(&mut self) -> String {
            let mut answer = Vec::new();
            loop {
                let text = String::from_utf8_lossy(&answer).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && head.contains(&format!("content-length: {}", body.len()))
                {
                    return body.to_owned();
                }
                assert!(self.client.read_buf(&mut answer).await.unwrap() > 0, "closed after {text}");
            }
        }

        async fn is_closed(&mut self) -> bool {
            self.client.read(&mut [0]).await.unwrap() == 0
        }
    }

    #[actix_web::test]
    async fn a_connection_that_was_silent_goes_on_as_if_it_had_not() {
        let mut scene = Scene::new().await;

        for times in 1..=3 {
            scene.send(GET).await;
            assert_eq!(scene.receive().await.len(), 100_000);
            assert_eq!(scene.awoken.get(), times);
            sleep(SILENCE).await;
        }
    }

    #[actix_web::test]
    async fn who_asks_again_soon_finds_everything_as_it_was() {
        let mut scene = Scene::new().await;

        for _ in 0..10 {
            scene.send(GET).await;
            scene.receive().await;
            sleep(AWAKE / 2).await;
        }

        assert_eq!(scene.awoken.get(), 1);
    }

    #[actix_web::test]
    async fn among_many_a_shorter_silence_counts() {
        let mut scene = Scene::new().await;
        scene.others.set(MANY);

        for _ in 0..3 {
            scene.send(GET).await;
            scene.receive().await;
            sleep(AWAKE / 2).await;
        }

        assert_eq!((scene.awoken.get(), scene.others.get()), (3, MANY));
    }

    #[actix_web::test]
    async fn a_request_that_takes_long_is_not_given_up() {
        let mut scene = Scene::new().await;
        scene.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;

        sleep(5 * SILENCE).await;
        scene.slow.notify_one();

        assert_eq!(scene.receive().await, "late");
        assert_eq!(scene.awoken.get(), 1);
    }

    #[actix_web::test]
    async fn what_has_come_of_a_request_is_not_lost() {
        let mut scene = Scene::new().await;
        let (beginning, rest) = GET.split_at(GET.len() - 2);

        scene.send(&format!("{GET}{beginning}")).await;
        scene.receive().await;
        sleep(SILENCE).await;
        scene.send(rest).await;

        assert_eq!(scene.receive().await.len(), 100_000);
    }

    #[actix_web::test]
    async fn the_rest_of_a_body_is_never_taken_for_a_request() {
        let mut scene = Scene::new().await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", GET.len());

        scene.send(&head).await;
        sleep(SILENCE).await;
        scene.send(GET).await;

        assert_eq!(scene.receive().await, GET);
        sleep(SILENCE).await;
        assert_eq!(scene.awoken.get(), 1, "after a body a connection does not rest");
        scene.send(GET).await;
        assert_eq!(scene.receive().await.len(), 100_000);
    }

    #[actix_web::test]
    async fn silence_ends_after_a_while() {
        let mut scene = Scene::new().await;
        scene.send(GET).await;
        scene.receive().await;

        sleep(KEEP_ALIVE + SILENCE).await;

        assert!(scene.is_closed().await);
    }

    #[actix_web::test]
    async fn shutdown_ends_what_rests() {
        let mut scene = Scene::new().await;
        scene.send(GET).await;
        scene.receive().await;
        sleep(SILENCE).await;
        scene.shutdown.cancel();
        assert!(scene.is_closed().await);
    }

    #[actix_web::test]
    async fn who_wants_no_more_is_let_go_at_once() {
        let mut scene = Scene::new().await;

        scene.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        scene.receive().await;

        assert!(scene.is_closed().await);
        assert_eq!(scene.awoken.get(), 1);
    }
}
