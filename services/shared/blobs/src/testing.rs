//! For tests: an S3 server on loopback, a store whose every step can be stopped, and what every
//! store must do.

mod access;
mod conduct;
mod intercepted;
pub mod suite;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_settings::{Section, toml::Value};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use self::{access::Access, conduct::Conduct};
pub use self::{
    access::Received,
    intercepted::{Intercepted, Step},
};
use crate::StorageConfig;

/// The name of its one bucket.
pub const BUCKET: &str = "media";
/// The access key that it knows.
pub const ACCESS_KEY_ID: &str = "AKIAHELIOGRAPH";
/// The secret that belongs to it.
pub const SECRET_ACCESS_KEY: &str = "a-secret-of-tests";
/// A temporary access key that it knows, the secret, and the token that must come with it.
pub const TEMPORARY_KEY: [&str; 3] = ["ASIAHELIOGRAPH", "a-temporary-secret", "a-session-token"];

fn allow_origins(headers: &mut http::HeaderMap) {
    use http::{HeaderValue, header};
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, Range"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A server that checks signatures and keeps objects as files. Stops when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    conduct: Conduct,
    access: Access,
    _serving: AbortOnDropHandle<()>,
}

impl S3Server {
    /// Starts one on a free port, with one bucket.
    ///
    /// # Panics
    ///
    /// If this machine has no room for it.
    pub async fn start() -> Self {
        Self::launch(false).await
    }

    /// The same with a bucket that web pages of any origin may use, as the rules allow that
    /// `heliograph doctor` prints.
    ///
    /// # Panics
    ///
    /// If this machine has no room for it.
    pub async fn start_for_browsers() -> Self {
        Self::launch(true).await
    }

    #[expect(clippy::expect_used, reason = "for tests")]
    async fn launch(has_cors: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder for tests");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a new folder is empty");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("the folder exists");
        let mut builder = S3ServiceBuilder::new(files);
        let mut auth = SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        auth.register(TEMPORARY_KEY[0].to_owned(), TEMPORARY_KEY[1].into());
        builder.set_auth(auth);
        let access = Access::default();
        builder.set_access(access.clone());
        let service = builder.build();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let conduct = Conduct::default();
        let how = conduct.clone();
        let serving = tokio::runtime::Handle::current().spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (service, seen, how) = (service.clone(), Arc::clone(&seen), how.clone());
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let is_preflight = has_cors && request.method() == http::Method::OPTIONS;
                    if !is_preflight {
                        let line = format!("{} {}", request.method(), request.uri().path());
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                    }
                    let (service, how) = (service.clone(), how.clone());
                    async move {
                        how.wait(&request).await;
                        let mut answer = if is_preflight {
                            http::Response::new(s3s::Body::empty())
                        } else if let Some(refusal) = how.refusal() {
                            refusal
                        } else {
                            let _turn = how.turn(request.method(), request.headers()).await;
                            Service::call(&service, request).await?
                        };
                        if has_cors {
                            allow_origins(answer.headers_mut());
                        }
                        Ok::<_, s3s::HttpError>(answer)
                    }
                });
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // An error is a client that has left.
                    drop(server.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { folder, address, access, requests, conduct, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request since the last look: its method, and the path with the bucket.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes it take so long for each copy, as for a large file.
    pub fn slow_copies(&self, delay: Duration) {
        self.conduct.delay_copies(delay);
    }

    /// Makes it wait so long before each request.
    pub fn slow(&self, delay: Duration) {
        self.conduct.delay(delay);
    }

    /// Answers everything with this status and does nothing; with `None`, as it should.
    pub fn answers(&self, status: Option<u16>) {
        self.conduct.answer(status);
    }

    /// From now on it lets one of several concurrent creates win, as Amazon does. Otherwise it
    /// checks first and writes then.
    pub fn decides(&self) {
        self.conduct.decide();
    }

    /// The settings for its bucket, by key.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let keys = [("access_key_id", ACCESS_KEY_ID), ("secret_access_key", SECRET_ACCESS_KEY)];
        self.place().into_iter().chain(keys.map(|(key, value)| (key, value.to_owned()))).collect()
    }

    /// The settings for where its bucket is, without keys.
    pub fn place(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", format!("s3://{BUCKET}")),
            ("endpoint", format!("http://{}", self.address)),
            ("allow_http", "true".to_owned()),
            ("path_style", "true".to_owned()),
        ]
    }

    /// All requests so far that were signed by somebody it knows.
    pub fn received(&self) -> Vec<Received> {
        self.access.received()
    }

    /// The same as a section.
    ///
    /// # Panics
    ///
    /// If the settings do not know one of them.
    pub fn config(&self) -> StorageConfig {
        config_of(self.settings())
    }

    /// What is in its folder, besides the bucket itself: parts of uploads too.
    ///
    /// # Panics
    ///
    /// If the folder cannot be read.
    #[expect(clippy::expect_used, reason = "for tests")]
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(self.folder.path()).expect("within").display().to_string());
                }
            }
        }
        found
    }
}

/// The section with these settings.
///
/// # Panics
///
/// If there is no such setting, or a value is bad.
#[expect(clippy::expect_used, reason = "for tests")]
pub fn config_of(settings: Vec<(&'static str, String)>) -> StorageConfig {
    let mut config = StorageConfig::default();
    for (key, value) in settings {
        config.set(key, &Value::String(value)).expect("a setting").expect("a value");
    }
    config
}
