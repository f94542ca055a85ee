//! For tests: the same service in this process or behind a real gRPC connection, so that
//! one suite can be run over both.

use std::{io, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Server};

use crate::{
    FederationService, FetchPeer, GrpcFederationClient, GrpcFederationServer, GrpcFetchPeerServer, GrpcThumbnailClient,
    GrpcThumbnailServer, GrpcUploadClient, GrpcUploadServer, Pool, ThumbnailService, UploadService,
};

/// How a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Called directly.
    InProcess,
    /// Through a TCP socket on loopback.
    OverGrpc,
}

impl Way {
    /// The upload service, reached this way.
    pub async fn to_uploads(self, service: Arc<dyn UploadService>) -> Arc<dyn UploadService> {
        match self {
            Self::InProcess => service,
            Self::OverGrpc => Arc::new(GrpcUploadClient::new(serve(Routes::new(GrpcUploadServer::new(service))).await)),
        }
    }

    /// The thumbnail service, reached this way.
    pub async fn to_thumbnails(self, service: Arc<dyn ThumbnailService>) -> Arc<dyn ThumbnailService> {
        match self {
            Self::InProcess => service,
            Self::OverGrpc => {
                Arc::new(GrpcThumbnailClient::new(serve(Routes::new(GrpcThumbnailServer::new(service))).await))
            }
        }
    }

    /// The federation service, reached this way.
    pub async fn to_federation(self, service: Arc<dyn FederationService>) -> Arc<dyn FederationService> {
        match self {
            Self::InProcess => service,
            Self::OverGrpc => {
                Arc::new(GrpcFederationClient::new(serve(Routes::new(GrpcFederationServer::new(service))).await))
            }
        }
    }
}

/// Serves what instances follow, until the runtime ends.
pub async fn serve_peer(listener: std::net::TcpListener, peer: Arc<dyn FetchPeer>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let server = Server::builder().add_service(GrpcFetchPeerServer::new(peer));
    server.serve_with_incoming(TcpListenerStream::new(listener)).await.map_err(io::Error::other)
}

/// Runs until the test's runtime ends.
#[expect(clippy::expect_used, clippy::disallowed_methods, reason = "only tests call this")]
async fn serve(routes: Routes) -> Pool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it listens");
    let server = Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener));
    drop(tokio::spawn(server));
    let url = format!("http://{address}").parse().expect("it is a URL");
    Pool::new("test", vec![url], Duration::from_secs(30))
}

/// Makes of `async fn name(way: Way)` a test in each way.
#[macro_export]
macro_rules! contract_suite {
    ($($test:ident,)+) => {
        mod in_process {
            $(
                #[actix::test]
                async fn $test() {
                    super::$test($crate::testing::Way::InProcess).await;
                }
            )+
        }
        mod over_grpc {
            $(
                #[actix::test]
                async fn $test() {
                    super::$test($crate::testing::Way::OverGrpc).await;
                }
            )+
        }
    };
}
