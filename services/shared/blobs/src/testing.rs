//! An S3 server on loopback, for tests.

use std::net::SocketAddr;

use heliograph_settings::{Section, toml::Value};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::StorageConfig;

/// The name of its one bucket.
pub const BUCKET: &str = "media";
/// The access key that it knows.
pub const ACCESS_KEY_ID: &str = "AKIAHELIOGRAPH";
/// The secret that belongs to it.
pub const SECRET_ACCESS_KEY: &str = "a-secret-of-tests";

/// A server that checks signatures and keeps objects as files. Stops when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl S3Server {
    /// Starts one on a free port, with one bucket.
    ///
    /// # Panics
    ///
    /// If this machine has no room for it.
    #[expect(clippy::expect_used, reason = "for tests")]
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for tests");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a new folder is empty");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("the folder exists");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let service = builder.build();
        let serving = tokio::runtime::Handle::current().spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // An error is a client that has left.
                    drop(server.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { folder, address, _serving: AbortOnDropHandle::new(serving) }
    }

    /// The settings for its bucket, by key.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", format!("s3://{BUCKET}")),
            ("endpoint", format!("http://{}", self.address)),
            ("allow_http", "true".to_owned()),
            ("path_style", "true".to_owned()),
            ("access_key_id", ACCESS_KEY_ID.to_owned()),
            ("secret_access_key", SECRET_ACCESS_KEY.to_owned()),
        ]
    }

    /// The same as a section.
    ///
    /// # Panics
    ///
    /// If the settings do not know one of them.
    #[expect(clippy::expect_used, reason = "for tests")]
    pub fn config(&self) -> StorageConfig {
        let mut config = StorageConfig::default();
        for (key, value) in self.settings() {
            config.set(key, &Value::String(value)).expect("a setting").expect("a value");
        }
        config
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
