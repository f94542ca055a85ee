//! The contract of the federation fetcher.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use heliograph_types::{
    ContentType, Failure, FileName, Mxc, ServerName, ThumbnailMethod, ThumbnailSpec, Timestamp, UserId,
};
use tonic::{Request, Response, Status};
use url::Url;

use crate::{
    Pool, RouteKey,
    follow::RemoteHead,
    link::Connection,
    pool::Route,
    resume,
    status::{missing, parse, to_failure, to_status},
    wire::federation as wire,
};

/// Asks for media of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Our server name, in whose name the request is signed.
    pub tenant: ServerName,
    /// What is wanted.
    pub mxc: Mxc,
    /// How long to wait for content that is not yet uploaded there (`timeout_ms`).
    pub timeout: Duration,
    /// Whether the caller can do with a thumbnail that the origin makes. Content that is large is
    /// not fetched then, and the answer is `RemoteTooLarge`.
    pub for_thumbnail: bool,
}

/// Asks for a thumbnail that another server makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchThumbnail {
    /// Our server name, in whose name the request is signed.
    pub tenant: ServerName,
    /// Of what.
    pub mxc: Mxc,
    /// Which.
    pub spec: ThumbnailSpec,
}

/// The largest thumbnail that is taken from another server.
pub const MOST_FOREIGN_BYTES: usize = 4 << 20;
/// A message has the framing in it besides the picture.
const MOST_MESSAGE_BYTES: usize = MOST_FOREIGN_BYTES + (64 << 10);

/// Bytes as they arrive. An error after the first byte means that the content is broken
/// and was not stored; an end without error means that it is durable.
pub type MediaBody = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// Remote media whose head has arrived.
pub struct RemoteMedia {
    /// What the origin says that it is.
    pub content_type: ContentType,
    /// What the origin calls it.
    pub file_name: Option<FileName>,
    /// Its size, if the origin told it.
    pub size_bytes: Option<u64>,
    /// Its bytes. The fetch goes on when this is dropped.
    pub body: MediaBody,
}

impl fmt::Debug for RemoteMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteMedia").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// Asks for the key with which another server signs its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindKey {
    /// Whose key.
    pub server_name: ServerName,
    /// Which, with its algorithm: `ed25519:…`.
    pub key_id: String,
}

/// A public key of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// Signatures are not to be believed from then on.
    pub valid_until: Timestamp,
}

/// Asks what there is to say of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Our server name, whose medium the picture becomes.
    pub tenant: ServerName,
    /// Of http or https.
    pub url: Url,
    /// `Accept-Language` of whoever wants to read it; may be empty.
    pub languages: String,
    /// Who that is: what one user makes us wait for is bounded.
    pub user: UserId,
}

/// The way out. The only service that talks to strangers.
#[async_trait]
pub trait FederationService: Send + Sync + 'static {
    /// Fetches media; answers when the origin's head has arrived. Callers that ask for the
    /// same media share one fetch: late ones read what is there and then follow.
    ///
    /// `NotFound` when the origin says so, `NotYetUploaded` likewise, `RemoteTooLarge`
    /// over our limit, `BadGateway` when the origin is out of reach, too slow, or answers
    /// nonsense, `LimitExceeded` without room.
    async fn fetch(&self, request: Fetch) -> Result<RemoteMedia, Failure>;

    /// Fetches a thumbnail that the origin makes, and keeps it nowhere. Callers that ask for the
    /// same one at once share one question. Nobody has looked at what comes back: it may be
    /// anything.
    ///
    /// Fails as [`Self::fetch`] does; `RemoteTooLarge` above [`MOST_FOREIGN_BYTES`].
    async fn fetch_thumbnail(&self, request: FetchThumbnail) -> Result<Bytes, Failure>;

    /// Finds a key that is valid now; `None` when the server does not have it.
    ///
    /// `BadGateway` when the server is out of reach or answers nonsense, `Forbidden` when we
    /// have nothing to do with it.
    async fn find_key(&self, request: FindKey) -> Result<Option<FoundKey>, Failure>;

    /// Finds where another server answers: `https://host:port/`, for a client that is sent
    /// there: its media server, if it names one. Nobody looks whether it does.
    ///
    /// `BadGateway` for a name that is not that of a host, for one that no nameserver knows
    /// anything of, and for an address that is not public; `NotFound` for a name of ours and
    /// for one that is blocked.
    async fn locate(&self, server_name: &ServerName) -> Result<Url, Failure>;

    /// What a page says of itself: a JSON object, as clients get it. Its picture is a medium of
    /// the tenant by then. Remembered for a time; callers that ask for the same at once share one
    /// visit.
    ///
    /// `Unrecognized` where previews are switched off, `Forbidden` for what the operator or the
    /// guard of addresses refuses, `LimitExceeded` without room, `BadGateway` for all that
    /// cannot be had: nobody learns why.
    async fn preview(&self, request: Preview) -> Result<Bytes, Failure>;
}

impl From<&Fetch> for wire::FetchRequest {
    fn from(Fetch { tenant, mxc, timeout, for_thumbnail }: &Fetch) -> Self {
        Self {
            tenant: tenant.to_string(),
            mxc: mxc.to_string(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            for_thumbnail: *for_thumbnail,
        }
    }
}

impl TryFrom<wire::FetchRequest> for Fetch {
    type Error = Status;

    fn try_from(message: wire::FetchRequest) -> Result<Self, Status> {
        let wire::FetchRequest { tenant, mxc, timeout_ms, for_thumbnail } = message;
        let timeout = Duration::from_millis(timeout_ms);
        Ok(Self { tenant: parse(&tenant)?, mxc: parse(&mxc)?, timeout, for_thumbnail })
    }
}

/// Far below what a gRPC message may have (4 MiB), with room for the wrapping.
const MOST_CHUNK_BYTES: usize = 1 << 20;

/// Pieces that fit into a message, however large the chunk is that a service gives out.
pub(crate) fn split<E>(chunk: Result<Bytes, E>) -> impl Iterator<Item = Result<Bytes, E>> {
    let mut rest = Some(chunk);
    std::iter::from_fn(move || match rest.take()? {
        Ok(mut chunk) if chunk.len() > MOST_CHUNK_BYTES => {
            let piece = chunk.split_to(MOST_CHUNK_BYTES);
            rest = Some(Ok(chunk));
            Some(Ok(piece))
        }
        last => Some(last),
    })
}

/// Serves a [`FederationService`] over gRPC.
#[derive(Clone)]
pub struct GrpcFederationServer(Arc<dyn FederationService>);

impl GrpcFederationServer {
    /// The tonic service, to be added to a server.
    pub fn new(service: Arc<dyn FederationService>) -> wire::federation_service_server::FederationServiceServer<Self> {
        wire::federation_service_server::FederationServiceServer::new(Self(service))
            .max_encoding_message_size(MOST_MESSAGE_BYTES)
    }
}

#[async_trait]
impl wire::federation_service_server::FederationService for GrpcFederationServer {
    type FetchStream = Pin<Box<dyn Stream<Item = Result<wire::FetchResponse, Status>> + Send>>;

    async fn fetch(&self, request: Request<wire::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let media = self.0.fetch(request.into_inner().try_into()?).await.map_err(to_status)?;
        let RemoteMedia { content_type, file_name, size_bytes, body } = media;
        let head = RemoteHead { content_type, file_name, size_bytes }.into();
        let head = stream::once(async { Ok(wire::fetch_response::Event::Head(head)) });
        let chunks = body.flat_map(|chunk| stream::iter(split(chunk)));
        let chunks = chunks.map(|chunk| chunk.map(wire::fetch_response::Event::Chunk).map_err(to_status));
        let events = head.chain(chunks).map(|event| event.map(|event| wire::FetchResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(events)))
    }

    async fn fetch_thumbnail(
        &self,
        request: Request<wire::FetchThumbnailRequest>,
    ) -> Result<Response<wire::FetchThumbnailResponse>, Status> {
        let message = request.into_inner();
        let method = match message.method() {
            wire::Method::Unspecified => return Err(missing("method")),
            wire::Method::Scale => ThumbnailMethod::Scale,
            wire::Method::Crop => ThumbnailMethod::Crop,
        };
        let wire::FetchThumbnailRequest { tenant, mxc, width, height, animated, .. } = message;
        let spec = ThumbnailSpec { width, height, method, animated };
        let request = FetchThumbnail { tenant: parse(&tenant)?, mxc: parse(&mxc)?, spec };
        let image = self.0.fetch_thumbnail(request).await.map_err(to_status)?;
        Ok(Response::new(wire::FetchThumbnailResponse { image }))
    }

    async fn find_key(
        &self,
        request: Request<wire::FindKeyRequest>,
    ) -> Result<Response<wire::FindKeyResponse>, Status> {
        let wire::FindKeyRequest { server_name, key_id } = request.into_inner();
        let found = self.0.find_key(FindKey { server_name: parse(&server_name)?, key_id }).await.map_err(to_status)?;
        Ok(Response::new(wire::FindKeyResponse {
            public_key: found.as_ref().map(|key| key.public_key.to_vec().into()),
            valid_until_ms: found.map_or(0, |key| key.valid_until.as_millis()),
        }))
    }

    async fn locate(&self, request: Request<wire::LocateRequest>) -> Result<Response<wire::LocateResponse>, Status> {
        let server_name = parse(&request.get_ref().server_name)?;
        let base_url = self.0.locate(&server_name).await.map_err(to_status)?.into();
        Ok(Response::new(wire::LocateResponse { base_url }))
    }

    async fn preview(&self, request: Request<wire::PreviewRequest>) -> Result<Response<wire::PreviewResponse>, Status> {
        let wire::PreviewRequest { tenant, url, languages, user } = request.into_inner();
        let request = Preview { tenant: parse(&tenant)?, url: parse(&url)?, languages, user: parse(&user)? };
        let answer = self.0.preview(request).await.map_err(to_status)?;
        Ok(Response::new(wire::PreviewResponse { answer }))
    }
}

/// A [`FederationService`] behind gRPC.
#[derive(Debug, Clone)]
pub struct GrpcFederationClient(Pool);

pub(crate) type Calls = wire::federation_service_client::FederationServiceClient<Connection>;

impl GrpcFederationClient {
    /// The service at the instances of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self(pool)
    }

    async fn call<M, T, F>(&self, route: Route, message: M, method: impl Fn(Calls, M) -> F) -> Result<T, Failure>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let method =
            |connection, message| method(Calls::new(connection).max_decoding_message_size(MOST_MESSAGE_BYTES), message);
        self.0.call(&route, message, method).await.map_err(to_failure)
    }
}

/// All that concerns another server meets in one place: the queue for it, what is known of its
/// failures, its keys. So what it gets from us at once is bounded for the whole cluster. Asked
/// twice is as good as once: it is told to read, and who fetches the same joins, follows or finds
/// the record.
pub(crate) fn by_origin(server_name: &ServerName) -> Route {
    Route::by(RouteKey::of(server_name.as_str()))
}

/// All pages of a site meet in one place, where one flight for each and the room for all of them
/// are. A visit reads, and its answer is remembered by the cluster; its picture, made twice, is
/// one that goes like that of a page nobody looks at any more.
fn by_site(url: &Url) -> Route {
    Route::by(RouteKey::of(url.host_str().unwrap_or_default()))
}

#[async_trait]
impl FederationService for GrpcFederationClient {
    async fn fetch(&self, request: Fetch) -> Result<RemoteMedia, Failure> {
        resume::fetch(self.0.clone(), request).await
    }

    async fn fetch_thumbnail(&self, FetchThumbnail { tenant, mxc, spec }: FetchThumbnail) -> Result<Bytes, Failure> {
        let kind = match spec.method {
            ThumbnailMethod::Scale => wire::Method::Scale,
            ThumbnailMethod::Crop => wire::Method::Crop,
        };
        let message = wire::FetchThumbnailRequest {
            tenant: tenant.to_string(),
            mxc: mxc.to_string(),
            width: spec.width,
            height: spec.height,
            method: kind.into(),
            animated: spec.animated,
        };
        let method = |mut calls: Calls, message| async move { calls.fetch_thumbnail(message).await };
        Ok(self.call(by_origin(&mxc.server_name), message, method).await?.image)
    }

    async fn find_key(&self, FindKey { server_name, key_id }: FindKey) -> Result<Option<FoundKey>, Failure> {
        let message = wire::FindKeyRequest { server_name: server_name.to_string(), key_id };
        let method = |mut calls: Calls, message| async move { calls.find_key(message).await };
        let answer = self.call(by_origin(&server_name), message, method).await?;
        let valid_until = Timestamp::from_millis(answer.valid_until_ms);
        answer
            .public_key
            .map(|bytes| {
                let public_key = bytes.as_ref().try_into().map_err(|_| to_failure(missing("public_key")))?;
                Ok(FoundKey { public_key, valid_until })
            })
            .transpose()
    }

    async fn locate(&self, server_name: &ServerName) -> Result<Url, Failure> {
        let message = wire::LocateRequest { server_name: server_name.to_string() };
        let method = |mut calls: Calls, message| async move { calls.locate(message).await };
        let answer = self.call(by_origin(server_name), message, method).await?;
        parse(&answer.base_url).map_err(to_failure)
    }

    async fn preview(&self, Preview { tenant, url, languages, user }: Preview) -> Result<Bytes, Failure> {
        let (tenant, user, route) = (tenant.to_string(), user.to_string(), by_site(&url));
        let message = wire::PreviewRequest { tenant, url: url.into(), languages, user };
        let method = |mut calls: Calls, message| async move { calls.preview(message).await };
        Ok(self.call(route, message, method).await?.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_any_size_fit_into_messages() {
        for (size, expected) in [
            (0, vec![0]),
            (MOST_CHUNK_BYTES, vec![MOST_CHUNK_BYTES]),
            (5 * MOST_CHUNK_BYTES + 1, [vec![MOST_CHUNK_BYTES; 5], vec![1]].concat()),
        ] {
            let content: Bytes = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();

            let pieces: Vec<Bytes> = split(Ok::<_, Failure>(content.clone())).map(Result::unwrap).collect();

            assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), expected);
            assert!(pieces.concat() == content);
        }
        assert_eq!(split(Err(Failure::not_found())).collect::<Vec<_>>(), [Err(Failure::not_found())]);
    }
}
