//! The contract between instances that fetch: who wants what another one fetches follows it.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::Either, stream};
use heliograph_types::{ContentType, Failure, FileName};
use tonic::{Request, Response, Status};

use crate::{
    Fetch,
    federation::split,
    link::{Connection, Link},
    status::{is_told, missing, parse, to_failure, to_status},
    wire::federation::{
        self as wire, fetch_peer_service_client::FetchPeerServiceClient,
        fetch_peer_service_server::FetchPeerServiceServer, follow_response::Event,
    },
};

/// What is known of a medium before its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHead {
    /// What the origin says that it is.
    pub content_type: ContentType,
    /// What the origin calls it.
    pub file_name: Option<FileName>,
    /// Its size, if the origin told it.
    pub size_bytes: Option<u64>,
}

/// A copy that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCopy {
    /// The key of its bytes.
    pub blob: String,
    /// How many they are.
    pub size_bytes: u64,
}

/// What who follows a fetch sees of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The origin has answered. Comes first.
    Head(RemoteHead),
    /// The next bytes.
    Piece(Bytes),
    /// The end. What is not among the pieces can be read from the store.
    Stored(StoredCopy),
}

/// Why there is nothing to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowError {
    /// That instance does not fetch this, or no more. It says nothing of the medium.
    Lost,
    /// The fetch failed.
    Failed(Failure),
}

/// A fetch of another instance. Ends with [`Followed::Stored`] or an error.
pub type Following = Pin<Box<dyn Stream<Item = Result<Followed, FollowError>> + Send>>;

/// An instance that fetches, for the others.
#[async_trait]
pub trait FetchPeer: Send + Sync + 'static {
    /// Follows a fetch that is in the air there, from its first byte. Never starts one, and
    /// never waits for the origin's head: the answer is there at once.
    async fn follow(&self, request: Fetch) -> Result<Following, FollowError>;
}

/// Serves a [`FetchPeer`] over gRPC.
#[derive(Clone)]
pub struct GrpcFetchPeerServer(Arc<dyn FetchPeer>);

impl GrpcFetchPeerServer {
    /// The tonic service, to be added to a server.
    pub fn new(peer: Arc<dyn FetchPeer>) -> FetchPeerServiceServer<Self> {
        FetchPeerServiceServer::new(Self(peer))
    }
}

#[async_trait]
impl wire::fetch_peer_service_server::FetchPeerService for GrpcFetchPeerServer {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<wire::FollowResponse, Status>> + Send>>;

    async fn follow(&self, request: Request<wire::FetchRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let following = self.0.follow(request.into_inner().try_into()?).await.map_err(to_lost_or_failed)?;
        let events = following.flat_map(|event| match event {
            Ok(Followed::Piece(piece)) => {
                Either::Left(stream::iter(split(Ok(piece))).map(|piece| piece.map(Event::Chunk)))
            }
            Ok(Followed::Head(head)) => Either::Right(one(Ok(Event::Head(head.into())))),
            Ok(Followed::Stored(StoredCopy { blob, size_bytes })) => {
                Either::Right(one(Ok(Event::Stored(wire::FetchStored { blob, size_bytes }))))
            }
            Err(error) => Either::Right(one(Err(to_lost_or_failed(error)))),
        });
        let events = events.map(|event| event.map(|event| wire::FollowResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(events)))
    }
}

fn one<T>(item: T) -> stream::Iter<std::iter::Once<T>> {
    stream::iter(std::iter::once(item))
}

fn to_lost_or_failed(error: FollowError) -> Status {
    match error {
        FollowError::Lost => Status::aborted("this is not fetched here"),
        FollowError::Failed(failure) => to_status(failure),
    }
}

/// A [`FetchPeer`] behind gRPC.
#[derive(Debug, Clone)]
pub struct GrpcFetchPeerClient(FetchPeerServiceClient<Connection>);

impl GrpcFetchPeerClient {
    /// The instance at the other end of `link`.
    pub fn new(link: Link) -> Self {
        Self(FetchPeerServiceClient::new(link.0))
    }
}

#[async_trait]
impl FetchPeer for GrpcFetchPeerClient {
    async fn follow(&self, request: Fetch) -> Result<Following, FollowError> {
        let answer = self.0.clone().follow(wire::FetchRequest::from(&request)).await.map_err(from_status)?;
        let events = answer.into_inner().map(|message| {
            let event = message.map_err(from_status)?.event;
            match event.ok_or_else(|| from_status(missing("event")))? {
                Event::Head(head) => head.try_into().map(Followed::Head).map_err(from_status),
                Event::Chunk(chunk) => Ok(Followed::Piece(chunk)),
                Event::Stored(wire::FetchStored { blob, size_bytes }) => {
                    Ok(Followed::Stored(StoredCopy { blob, size_bytes }))
                }
            }
        });
        Ok(Box::pin(events))
    }
}

/// What the transport says is nothing about the medium.
fn from_status(status: Status) -> FollowError {
    if is_told(&status) {
        return FollowError::Failed(to_failure(status));
    }
    tracing::debug!(code = ?status.code(), reason = status.message(), "a fetch at another instance is lost");
    FollowError::Lost
}

impl From<RemoteHead> for wire::FetchHead {
    fn from(RemoteHead { content_type, file_name, size_bytes }: RemoteHead) -> Self {
        let file_name = file_name.map(|name| name.to_string());
        Self { content_type: content_type.to_string(), file_name, size_bytes }
    }
}

impl TryFrom<wire::FetchHead> for RemoteHead {
    type Error = Status;

    fn try_from(wire::FetchHead { content_type, file_name, size_bytes }: wire::FetchHead) -> Result<Self, Status> {
        let file_name = file_name.as_deref().and_then(FileName::new);
        Ok(Self { content_type: parse(&content_type)?, file_name, size_bytes })
    }
}
