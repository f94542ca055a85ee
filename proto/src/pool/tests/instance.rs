//! An instance that says its name.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use heliograph_types::{ContentType, ErrorCode, Failure, LEAVING_HEADER, ServerName};
use http::{HeaderValue, Response};
use tokio::{
    net::TcpListener as AsyncListener,
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower::util::MapResponseLayer;
use url::Url;

use crate::{
    Describe, Description, FederationService, Fetch, FetchThumbnail, FindKey, FoundKey, GrpcFederationServer,
    GrpcThumbnailServer, Preview, Remake, RemoteMedia, Render, Thumbnail, ThumbnailService,
};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Full,
    Leaving,
    Silent,
}

pub(super) struct Instance {
    pub(super) address: SocketAddr,
    runtime: Option<Runtime>,
    server: Option<JoinHandle<()>>,
    shutdown: CancellationToken,
    state: Arc<State>,
}

struct State {
    name: String,
    port: u16,
    calls: AtomicUsize,
    mood: Mutex<Mood>,
    go_on: Semaphore,
}

impl Instance {
    pub(super) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    pub(super) fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (mood, go_on) = (Mutex::new(Mood::Well), Semaphore::new(0));
        let (name, port) = (address.to_string(), address.port());
        let state = Arc::new(State { name, port, calls: AtomicUsize::new(0), mood, go_on });
        let shutdown = CancellationToken::new();
        let server = runtime.spawn(serve(listener, Arc::clone(&state), shutdown.clone()));
        Self { address, runtime: Some(runtime), server: Some(server), shutdown, state }
    }

    pub(super) fn name(&self) -> String {
        self.state.name.clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// Lets what it streams end.
    pub(super) fn go_on(&self) {
        self.state.go_on.add_permits(1);
    }

    pub(super) fn ask_to_end(&self) {
        self.shutdown.cancel();
    }

    /// Ends when all that it was asked is answered.
    pub(super) async fn end(&mut self) {
        self.ask_to_end();
        self.server.take().unwrap().await.unwrap();
        self.kill();
    }

    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // It takes a moment until nobody listens there.
        while std::net::TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, shutdown: CancellationToken) {
    let incoming = TcpListenerStream::new(AsyncListener::from_std(listener).unwrap());
    let told = Arc::clone(&state);
    let tell = move |mut answer: Response<_>| {
        if *told.mood.lock().unwrap() == Mood::Leaving {
            answer.headers_mut().insert(LEAVING_HEADER, HeaderValue::from_static("true"));
        }
        answer
    };
    let server = Server::builder()
        .layer(MapResponseLayer::new(tell))
        .add_service(GrpcThumbnailServer::new(Arc::new(Service(Arc::clone(&state)))))
        .add_service(GrpcFederationServer::new(Arc::new(Service(state))));
    server.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await.unwrap();
}

struct Service(Arc<State>);

impl Service {
    async fn answer(&self) -> Result<(), Failure> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Well | Mood::Leaving => Ok(()),
            Mood::Full => Err(Failure::new(ErrorCode::LimitExceeded, self.0.name.clone())),
            Mood::Silent => std::future::pending().await,
        }
    }
}

#[async_trait]
impl ThumbnailService for Service {
    async fn render(&self, _: Render) -> Result<Thumbnail, Failure> {
        self.answer().await?;
        Ok(Thumbnail { content_type: ContentType::octet_stream(), image: self.0.name.clone().into() })
    }

    async fn remake(&self, _: Remake) -> Result<Thumbnail, Failure> {
        Err(Failure::not_found())
    }

    async fn describe(&self, _: Describe) -> Result<Description, Failure> {
        self.answer().await?;
        Ok(Description { width: 1, height: 1, blurhash: String::new(), duration_ms: 0 })
    }
}

#[async_trait]
impl FederationService for Service {
    /// Says by the size who it is, and sends the end when it is let.
    async fn fetch(&self, _: Fetch) -> Result<RemoteMedia, Failure> {
        self.answer().await?;
        let state = Arc::clone(&self.0);
        let body = stream::unfold((state, 0), |(state, sent)| async move {
            match sent {
                0 => Some((Ok(Bytes::from_static(b"first")), (state, 1))),
                1 => {
                    state.go_on.acquire().await.unwrap().forget();
                    Some((Ok(Bytes::from_static(b"last")), (state, 2)))
                }
                _ => None,
            }
        });
        let size_bytes = Some(u64::from(self.0.port));
        Ok(RemoteMedia { content_type: ContentType::octet_stream(), file_name: None, size_bytes, body: Box::pin(body) })
    }

    async fn fetch_thumbnail(&self, _: FetchThumbnail) -> Result<Bytes, Failure> {
        Err(Failure::not_found())
    }

    async fn find_key(&self, _: FindKey) -> Result<Option<FoundKey>, Failure> {
        Err(Failure::not_found())
    }

    async fn locate(&self, _: &ServerName) -> Result<Url, Failure> {
        Err(Failure::not_found())
    }

    async fn preview(&self, _: Preview) -> Result<Bytes, Failure> {
        Err(Failure::not_found())
    }
}

/// An instance that takes each call and breaks the connection then; counts them.
pub(super) async fn refuse_in_the_middle() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = AsyncListener::bind("127.0.0.1:0").await.unwrap();
    let (address, broken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&broken);
    let work = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            if let Some(Ok(_call)) = connection.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of the test")]
    drop(tokio::spawn(work));
    (address, broken)
}
