//! The contract of the upload orchestrator.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::{ContentType, Failure, FileName, MediaId, Mxc, ServerName, StoreName, Timestamp, UserId};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    Pool, RouteKey,
    link::Connection,
    pool::Route,
    status::{missing, parse, parse_optional, to_failure, to_status},
    wire::upload as wire,
};

/// The name of one immutable blob: a ULID, 26 letters and digits of Crockford's base 32.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobId(Arc<str>);

/// The text is no blob id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid blob id")]
pub struct InvalidBlobId;

impl BlobId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlobId {
    type Err = InvalidBlobId;

    fn from_str(text: &str) -> Result<Self, InvalidBlobId> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        if text.len() == 26 && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(InvalidBlobId) }
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks for an id whose content comes later (MSC2246).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// One of our names.
    pub server_name: ServerName,
    /// Who may fill the id.
    pub uploader: UserId,
    /// The store that the content is to be put into; `None` for the usual one.
    pub store: Option<StoreName>,
}

/// An id that waits for its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The id.
    pub mxc: Mxc,
    /// From then on the id is gone, unless it was filled.
    pub unused_expires_at: Timestamp,
    /// Where the content can be put without us, by `PUT`, until the id is gone; then the upload
    /// is to be completed (MSC3870). `None` if it has to come through us.
    pub upload_url: Option<String>,
}

/// Asks where the content of a reserved id can be put without us (MSC3870).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presign {
    /// The id.
    pub mxc: Mxc,
    /// Who asks.
    pub uploader: UserId,
    /// The store that it is to be put into; `None` for the usual one.
    pub store: Option<StoreName>,
}

/// Makes what was put into a store without us the content of its id (MSC3870).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// The id.
    pub mxc: Mxc,
    /// Who asks.
    pub uploader: UserId,
    /// The store that it was put into; `None` for the usual one.
    pub store: Option<StoreName>,
    /// What the uploader calls it.
    pub file_name: Option<FileName>,
}

/// What an upload fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A new id of this server name.
    New(ServerName),
    /// An id that was reserved before.
    Reserved(Mxc),
    /// Media of another server, to be kept as a copy.
    Remote(Mxc),
}

/// Asks for admission of one upload, before its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// What it fills.
    pub target: Target,
    /// Who uploads; `None` for copies of remote media.
    pub uploader: Option<UserId>,
    /// The size that the caller announced.
    pub declared_bytes: Option<u64>,
    /// The store that it goes into; `None` for the usual one.
    pub store: Option<StoreName>,
}

/// The right to write one blob and to commit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The id that is being filled.
    pub mxc: Mxc,
    /// The upload, and the blob to write. Nobody else writes it.
    pub blob_id: BlobId,
    /// The key of the blob in the store.
    pub blob: String,
    /// Who uploads; `None` for copies of remote media.
    pub uploader: Option<UserId>,
    /// Whether the id was given out before.
    pub is_reserved: bool,
    /// Outranks every earlier owner's of the same id.
    pub fence: u64,
    /// More than this must not be written.
    pub max_bytes: u64,
    /// Without progress for so long the upload is given up.
    pub idle_timeout: Duration,
    /// What leads the later calls about this upload to the instance that began it. It saves work
    /// and decides nothing.
    pub route: RouteKey,
}

impl Ticket {
    /// It in bytes, for who takes the upload over.
    pub fn to_bytes(&self) -> Bytes {
        wire::Ticket::from(self.clone()).encode_to_vec().into()
    }

    /// A ticket from such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Failure> {
        let ticket = wire::Ticket::decode(bytes).map_err(|error| Failure::internal(error.to_string()))?;
        Some(ticket).try_into_ticket().map_err(to_failure)
    }

    /// How often to tell of progress, so that one report may be lost.
    pub fn report_every(&self) -> Duration {
        self.idle_timeout / 3
    }
}

/// Makes stored bytes the content of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The right to do so.
    pub ticket: Ticket,
    /// What was written.
    pub size_bytes: u64,
    /// Its digest; `None` if nobody has read all of it.
    pub sha256: Option<[u8; 32]>,
    /// What the uploader, or the origin, says that it is.
    pub content_type: ContentType,
    /// What its first bytes say that it is, if they say anything.
    pub sniffed_type: Option<ContentType>,
    /// What the uploader, or the origin, calls it.
    pub file_name: Option<FileName>,
    /// Whether the uploader put it into the store without us (MSC3870).
    pub is_direct: bool,
}

/// What a moderator does with a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nobody gets it any more, until this is taken back. A protected medium is left alone.
    Quarantine,
    /// Takes a quarantine back.
    Unquarantine,
    /// Keeps it from being quarantined.
    Protect,
    /// Takes a protection back.
    Unprotect,
    /// Removes its content for good. Its id is never given out again.
    Delete,
}

/// Asks for a change of one medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderate {
    /// Which.
    pub mxc: Mxc,
    /// What is to be done.
    pub action: Action,
    /// Who wants it.
    pub moderator: UserId,
}

/// Asks that content with this digest neither comes in nor goes out any more, or takes that back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which.
    pub sha256: [u8; 32],
    /// False takes it back.
    pub is_blocked: bool,
    /// Who wants it.
    pub moderator: UserId,
    /// Why, for other moderators.
    pub reason: Option<String>,
}

/// What a user has stored, and may store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all media.
    pub bytes: u64,
    /// How many media.
    pub files: u64,
    /// So many bytes are allowed; `None` without a limit.
    pub most_bytes: Option<u64>,
    /// So many media are allowed; `None` without a limit.
    pub most_files: Option<u64>,
}

/// Asks what a user has uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListUploads {
    /// Who.
    pub user_id: UserId,
    /// Begins with the newest, else with the oldest.
    pub newest_first: bool,
    /// Leaves out so many.
    pub from: u64,
    /// At most so many.
    pub limit: u64,
}

/// A page of what a user has uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uploads {
    /// Ids at the server of the user.
    pub media_ids: Vec<MediaId>,
    /// How many there are, on all pages.
    pub total: u64,
}

/// The life of an upload, and of what was uploaded. The only writer of records.
#[async_trait]
pub trait UploadService: Send + Sync + 'static {
    /// Gives out an id whose content comes later. Durable when answered.
    ///
    /// `LimitExceeded` when the uploader has too many such ids.
    async fn reserve(&self, request: Reserve) -> Result<Reservation, Failure>;

    /// Where the content of a reserved id can be put without us (MSC3870).
    ///
    /// Errors as those of `begin`, and `NotFound` for a store that there is not; `Unrecognized` if
    /// content has to come through us.
    async fn presign(&self, request: Presign) -> Result<String, Failure>;

    /// Makes what was put into a store without us the content of its id (MSC3870). May be called
    /// again after success. When this answers, the content can no longer be changed, and bytes and
    /// record are durable.
    ///
    /// Errors as those of `begin`, and `NothingUploaded` if nothing is there yet, `TooLarge` for
    /// what is too large and gone now, `Forbidden` for content that is not wanted.
    async fn complete(&self, request: Complete) -> Result<(), Failure>;

    /// Admits an upload.
    ///
    /// `NotFound` for an id that nobody reserved or that has expired, `Forbidden` for
    /// another user's, `CannotOverwriteMedia` for one that has content or is just being
    /// filled, `TooLarge` for an announced size over the limit, `UserLimitExceeded` or
    /// `Forbidden` for what is over the user's quota, `LimitExceeded` without room.
    async fn begin(&self, request: Begin) -> Result<Ticket, Failure>;

    /// Keeps an upload alive. An upload without progress for the idle limit is aborted.
    async fn progress(&self, ticket: &Ticket, stored_bytes: u64) -> Result<(), Failure>;

    /// Commits. When this answers, bytes and record are durable and everybody who waits
    /// for the id has been woken. May be called again after success.
    async fn commit(&self, request: Commit) -> Result<(), Failure>;

    /// Gives up and removes what was stored. An upload that is over is left alone.
    async fn abort(&self, ticket: &Ticket) -> Result<(), Failure>;

    /// Changes a medium; answers whether anything changed. Durable, and told to every
    /// instance, when answered. What is deleted is then gone from the store.
    ///
    /// `NotFound` without such a medium; only ours can be protected or deleted.
    async fn moderate(&self, request: Moderate) -> Result<bool, Failure>;

    /// Blocks content by its digest, or takes that back. Durable, and told to every instance,
    /// when answered.
    async fn block(&self, request: Block) -> Result<(), Failure>;

    /// What a user has stored, and may store. `Unavailable` while that cannot be known.
    async fn usage(&self, user_id: &UserId) -> Result<Usage, Failure>;

    /// What a user has uploaded, by time. `Unavailable` while that cannot be known.
    async fn list_uploads(&self, request: ListUploads) -> Result<Uploads, Failure>;

    /// Removes the copies of remote media that were not read since; answers how many. They can be
    /// fetched again. What is just being read, quarantined or protected stays. `Unavailable` while
    /// it cannot be known when they were read.
    async fn purge_copies(&self, read_before: Timestamp) -> Result<u64, Failure>;
}

/// Serves an [`UploadService`] over gRPC.
#[derive(Clone)]
pub struct GrpcUploadServer(Arc<dyn UploadService>);

impl GrpcUploadServer {
    /// The tonic service, to be added to a server.
    pub fn new(service: Arc<dyn UploadService>) -> wire::upload_service_server::UploadServiceServer<Self> {
        wire::upload_service_server::UploadServiceServer::new(Self(service))
    }
}

#[async_trait]
impl wire::upload_service_server::UploadService for GrpcUploadServer {
    async fn reserve(&self, request: Request<wire::ReserveRequest>) -> Result<Response<wire::ReserveResponse>, Status> {
        let wire::ReserveRequest { server_name, uploader, store } = request.into_inner();
        let (server_name, uploader) = (parse(&server_name)?, parse(&uploader)?);
        let request = Reserve { server_name, uploader, store: parse_optional(store.as_deref())? };
        let Reservation { mxc, unused_expires_at, upload_url } = self.0.reserve(request).await.map_err(to_status)?;
        Ok(Response::new(wire::ReserveResponse {
            media_id: mxc.media_id.to_string(),
            unused_expires_at_ms: unused_expires_at.as_millis(),
            upload_url,
        }))
    }

    async fn presign(&self, request: Request<wire::PresignRequest>) -> Result<Response<wire::PresignResponse>, Status> {
        let wire::PresignRequest { mxc, uploader, store } = request.into_inner();
        let (mxc, uploader) = (parse(&mxc)?, parse(&uploader)?);
        let request = Presign { mxc, uploader, store: parse_optional(store.as_deref())? };
        let upload_url = self.0.presign(request).await.map_err(to_status)?;
        Ok(Response::new(wire::PresignResponse { upload_url }))
    }

    async fn complete(
        &self,
        request: Request<wire::CompleteRequest>,
    ) -> Result<Response<wire::CompleteResponse>, Status> {
        let wire::CompleteRequest { mxc, uploader, store, file_name } = request.into_inner();
        let request = Complete {
            mxc: parse(&mxc)?,
            uploader: parse(&uploader)?,
            store: parse_optional(store.as_deref())?,
            file_name: file_name.as_deref().and_then(FileName::new),
        };
        self.0.complete(request).await.map_err(to_status)?;
        Ok(Response::new(wire::CompleteResponse {}))
    }

    async fn begin(&self, request: Request<wire::BeginRequest>) -> Result<Response<wire::BeginResponse>, Status> {
        let wire::BeginRequest { target, uploader, declared_bytes, store } = request.into_inner();
        let request = Begin {
            target: match target.ok_or_else(|| missing("target"))? {
                wire::begin_request::Target::NewFor(server_name) => Target::New(parse(&server_name)?),
                wire::begin_request::Target::ReservedMxc(mxc) => Target::Reserved(parse(&mxc)?),
                wire::begin_request::Target::RemoteMxc(mxc) => Target::Remote(parse(&mxc)?),
            },
            uploader: parse_optional(uploader.as_deref())?,
            declared_bytes,
            store: parse_optional(store.as_deref())?,
        };
        let ticket = self.0.begin(request).await.map_err(to_status)?;
        Ok(Response::new(wire::BeginResponse { ticket: Some(ticket.into()) }))
    }

    async fn progress(
        &self,
        request: Request<wire::ProgressRequest>,
    ) -> Result<Response<wire::ProgressResponse>, Status> {
        let wire::ProgressRequest { ticket, stored_bytes } = request.into_inner();
        self.0.progress(&ticket.try_into_ticket()?, stored_bytes).await.map_err(to_status)?;
        Ok(Response::new(wire::ProgressResponse {}))
    }

    async fn commit(&self, request: Request<wire::CommitRequest>) -> Result<Response<wire::CommitResponse>, Status> {
        let message = request.into_inner();
        let request = Commit {
            ticket: message.ticket.try_into_ticket()?,
            size_bytes: message.size_bytes,
            sha256: message
                .sha256
                .map(|sha256| sha256.as_ref().try_into().map_err(|_| missing("sha256")))
                .transpose()?,
            content_type: parse(&message.content_type)?,
            sniffed_type: parse_optional(message.sniffed_type.as_deref())?,
            file_name: message.file_name.as_deref().and_then(FileName::new),
            is_direct: message.is_direct,
        };
        self.0.commit(request).await.map_err(to_status)?;
        Ok(Response::new(wire::CommitResponse {}))
    }

    async fn abort(&self, request: Request<wire::AbortRequest>) -> Result<Response<wire::AbortResponse>, Status> {
        self.0.abort(&request.into_inner().ticket.try_into_ticket()?).await.map_err(to_status)?;
        Ok(Response::new(wire::AbortResponse {}))
    }

    async fn moderate(
        &self,
        request: Request<wire::ModerateRequest>,
    ) -> Result<Response<wire::ModerateResponse>, Status> {
        let message = request.into_inner();
        let action = Action::try_from(message.action())?;
        let request = Moderate { mxc: parse(&message.mxc)?, action, moderator: parse(&message.moderator)? };
        let changed = self.0.moderate(request).await.map_err(to_status)?;
        Ok(Response::new(wire::ModerateResponse { changed }))
    }

    async fn block(&self, request: Request<wire::BlockRequest>) -> Result<Response<wire::BlockResponse>, Status> {
        let wire::BlockRequest { sha256, is_blocked, moderator, reason } = request.into_inner();
        let sha256 = sha256.as_ref().try_into().map_err(|_| missing("sha256"))?;
        let request = Block { sha256, is_blocked, moderator: parse(&moderator)?, reason };
        self.0.block(request).await.map_err(to_status)?;
        Ok(Response::new(wire::BlockResponse {}))
    }

    async fn usage(&self, request: Request<wire::UsageRequest>) -> Result<Response<wire::UsageResponse>, Status> {
        let Usage { bytes, files, most_bytes, most_files } =
            self.0.usage(&parse(&request.into_inner().user_id)?).await.map_err(to_status)?;
        Ok(Response::new(wire::UsageResponse { bytes, files, most_bytes, most_files }))
    }

    async fn list_uploads(
        &self,
        request: Request<wire::ListUploadsRequest>,
    ) -> Result<Response<wire::ListUploadsResponse>, Status> {
        let wire::ListUploadsRequest { user_id, newest_first, from, limit } = request.into_inner();
        let request = ListUploads { user_id: parse(&user_id)?, newest_first, from, limit };
        let Uploads { media_ids, total } = self.0.list_uploads(request).await.map_err(to_status)?;
        let media_ids = media_ids.iter().map(ToString::to_string).collect();
        Ok(Response::new(wire::ListUploadsResponse { media_ids, total }))
    }

    async fn purge_copies(
        &self,
        request: Request<wire::PurgeCopiesRequest>,
    ) -> Result<Response<wire::PurgeCopiesResponse>, Status> {
        let read_before = Timestamp::from_millis(request.into_inner().read_before_ms);
        let removed = self.0.purge_copies(read_before).await.map_err(to_status)?;
        Ok(Response::new(wire::PurgeCopiesResponse { removed }))
    }
}

impl TryFrom<wire::Action> for Action {
    type Error = Status;

    fn try_from(action: wire::Action) -> Result<Self, Status> {
        Ok(match action {
            wire::Action::Unspecified => return Err(missing("action")),
            wire::Action::Quarantine => Self::Quarantine,
            wire::Action::Unquarantine => Self::Unquarantine,
            wire::Action::Protect => Self::Protect,
            wire::Action::Unprotect => Self::Unprotect,
            wire::Action::Delete => Self::Delete,
        })
    }
}

impl From<Action> for wire::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::Quarantine => Self::Quarantine,
            Action::Unquarantine => Self::Unquarantine,
            Action::Protect => Self::Protect,
            Action::Unprotect => Self::Unprotect,
            Action::Delete => Self::Delete,
        }
    }
}

impl From<Ticket> for wire::Ticket {
    fn from(ticket: Ticket) -> Self {
        Self {
            mxc: ticket.mxc.to_string(),
            blob_id: ticket.blob_id.to_string(),
            fence: ticket.fence,
            max_bytes: ticket.max_bytes,
            idle_timeout_ms: u64::try_from(ticket.idle_timeout.as_millis()).unwrap_or(u64::MAX),
            blob: ticket.blob,
            uploader: ticket.uploader.map(|user| user.to_string()),
            is_reserved: ticket.is_reserved,
            route: ticket.route.number(),
        }
    }
}

trait TryIntoTicket {
    fn try_into_ticket(self) -> Result<Ticket, Status>;
}

impl TryIntoTicket for Option<wire::Ticket> {
    fn try_into_ticket(self) -> Result<Ticket, Status> {
        let ticket = self.ok_or_else(|| missing("ticket"))?;
        Ok(Ticket {
            mxc: parse(&ticket.mxc)?,
            blob_id: parse(&ticket.blob_id)?,
            blob: ticket.blob,
            uploader: parse_optional(ticket.uploader.as_deref())?,
            is_reserved: ticket.is_reserved,
            fence: ticket.fence,
            max_bytes: ticket.max_bytes,
            idle_timeout: Duration::from_millis(ticket.idle_timeout_ms),
            route: RouteKey::from_number(ticket.route),
        })
    }
}

/// An [`UploadService`] behind gRPC.
#[derive(Debug, Clone)]
pub struct GrpcUploadClient {
    pool: Pool,
    patience_to_complete: Option<Duration>,
}

type Calls = wire::upload_service_client::UploadServiceClient<Connection>;

impl GrpcUploadClient {
    /// The service at the instances of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool, patience_to_complete: None }
    }

    /// With another patience for what takes as long as the store does.
    #[must_use]
    pub fn with_patience_to_complete(self, patience: Duration) -> Self {
        Self { patience_to_complete: Some(patience), ..self }
    }

    async fn call<M, T, F>(&self, route: Route, message: M, method: impl Fn(Calls, M) -> F) -> Result<T, Failure>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let method = |connection, message| method(Calls::new(connection), message);
        self.pool.call(&route, message, method).await.map_err(to_failure)
    }

    fn patient(&self, route: Route) -> Route {
        self.patience_to_complete.map_or(route, |patience| route.within(patience))
    }
}

/// All calls about an id go to one instance, where the actor of its upload is.
fn by_id(mxc: &Mxc) -> Route {
    Route::by(RouteKey::of(&mxc.to_string()))
}

fn by_user(user_id: &UserId) -> Route {
    Route::by(RouteKey::of(user_id.as_str()))
}

/// Where an upload begins, and where all later calls about it go.
///
/// Begun twice, the upload of a new id costs an id that nobody knows. An id that is known is leased
/// to the instance that began: until that lease has ended, the next one would refuse the id in our
/// own name. So such a call is not repeated once it may have begun.
fn to_begin(target: &Target) -> (RouteKey, Route) {
    match target {
        Target::New(_) => {
            let key = RouteKey::random();
            (key, Route::by(key))
        }
        Target::Reserved(mxc) | Target::Remote(mxc) => {
            let key = RouteKey::of(&mxc.to_string());
            (key, Route::by(key).once())
        }
    }
}

#[async_trait]
impl UploadService for GrpcUploadClient {
    /// Twice costs an id that nobody knows and that expires, as when the client has left.
    async fn reserve(&self, request: Reserve) -> Result<Reservation, Failure> {
        let Reserve { server_name, uploader, store } = request;
        let message = wire::ReserveRequest {
            server_name: server_name.to_string(),
            uploader: uploader.to_string(),
            store: store.map(|store| store.to_string()),
        };
        let method = |mut calls: Calls, message| async move { calls.reserve(message).await };
        let answer = self.call(Route::by(RouteKey::random()), message, method).await?;
        Ok(Reservation {
            mxc: Mxc { server_name, media_id: parse(&answer.media_id).map_err(to_failure)? },
            unused_expires_at: Timestamp::from_millis(answer.unused_expires_at_ms),
            upload_url: answer.upload_url,
        })
    }

    /// Changes nothing.
    async fn presign(&self, Presign { mxc, uploader, store }: Presign) -> Result<String, Failure> {
        let store = store.map(|store| store.to_string());
        let message = wire::PresignRequest { mxc: mxc.to_string(), uploader: uploader.to_string(), store };
        let method = |mut calls: Calls, message| async move { calls.presign(message).await };
        Ok(self.call(by_id(&mxc), message, method).await?.upload_url)
    }

    /// Who completes again waits for the first one, or takes over when its lease has ended.
    async fn complete(&self, request: Complete) -> Result<(), Failure> {
        let message = wire::CompleteRequest {
            mxc: request.mxc.to_string(),
            uploader: request.uploader.to_string(),
            store: request.store.map(|store| store.to_string()),
            file_name: request.file_name.map(|name| name.to_string()),
        };
        let method = |mut calls: Calls, message| async move { calls.complete(message).await };
        self.call(self.patient(by_id(&request.mxc)), message, method).await.map(drop)
    }

    async fn begin(&self, request: Begin) -> Result<Ticket, Failure> {
        let (key, route) = to_begin(&request.target);
        let target = match request.target {
            Target::New(server_name) => wire::begin_request::Target::NewFor(server_name.to_string()),
            Target::Reserved(mxc) => wire::begin_request::Target::ReservedMxc(mxc.to_string()),
            Target::Remote(mxc) => wire::begin_request::Target::RemoteMxc(mxc.to_string()),
        };
        let message = wire::BeginRequest {
            target: Some(target),
            uploader: request.uploader.map(|user| user.to_string()),
            declared_bytes: request.declared_bytes,
            store: request.store.map(|store| store.to_string()),
        };
        let method = |mut calls: Calls, message| async move { calls.begin(message).await };
        let ticket = self.call(route, message, method).await?.ticket.try_into_ticket().map_err(to_failure)?;
        Ok(Ticket { route: key, ..ticket })
    }

    /// A report that comes twice is one; at another instance it starts the successor.
    async fn progress(&self, ticket: &Ticket, stored_bytes: u64) -> Result<(), Failure> {
        let message = wire::ProgressRequest { ticket: Some(ticket.clone().into()), stored_bytes };
        let method = |mut calls: Calls, message| async move { calls.progress(message).await };
        self.call(Route::by(ticket.route), message, method).await.map(drop)
    }

    /// Who commits again finds the record of the first time, or writes the same one.
    async fn commit(&self, request: Commit) -> Result<(), Failure> {
        let route = Route::by(request.ticket.route);
        let message = wire::CommitRequest {
            ticket: Some(request.ticket.into()),
            size_bytes: request.size_bytes,
            sha256: request.sha256.map(|sha256| sha256.to_vec().into()),
            content_type: request.content_type.to_string(),
            sniffed_type: request.sniffed_type.map(|kind| kind.to_string()),
            file_name: request.file_name.map(|name| name.to_string()),
            is_direct: request.is_direct,
        };
        let method = |mut calls: Calls, message| async move { calls.commit(message).await };
        self.call(route, message, method).await.map(drop)
    }

    /// What is given up already is left alone.
    async fn abort(&self, ticket: &Ticket) -> Result<(), Failure> {
        let message = wire::AbortRequest { ticket: Some(ticket.clone().into()) };
        let method = |mut calls: Calls, message| async move { calls.abort(message).await };
        self.call(Route::by(ticket.route), message, method).await.map(drop)
    }

    /// Brings about a state: the second time there is nothing left to change.
    async fn moderate(&self, Moderate { mxc, action, moderator }: Moderate) -> Result<bool, Failure> {
        let action = wire::Action::from(action).into();
        let message = wire::ModerateRequest { mxc: mxc.to_string(), action, moderator: moderator.to_string() };
        let method = |mut calls: Calls, message| async move { calls.moderate(message).await };
        Ok(self.call(by_id(&mxc), message, method).await?.changed)
    }

    /// Likewise.
    async fn block(&self, Block { sha256, is_blocked, moderator, reason }: Block) -> Result<(), Failure> {
        let route = Route::by(RouteKey::of_bytes(&sha256));
        let (sha256, moderator) = (sha256.to_vec().into(), moderator.to_string());
        let message = wire::BlockRequest { sha256, is_blocked, moderator, reason };
        let method = |mut calls: Calls, message| async move { calls.block(message).await };
        self.call(route, message, method).await.map(drop)
    }

    /// Reads.
    async fn usage(&self, user_id: &UserId) -> Result<Usage, Failure> {
        let message = wire::UsageRequest { user_id: user_id.to_string() };
        let method = |mut calls: Calls, message| async move { calls.usage(message).await };
        let wire::UsageResponse { bytes, files, most_bytes, most_files } =
            self.call(by_user(user_id), message, method).await?;
        Ok(Usage { bytes, files, most_bytes, most_files })
    }

    /// Reads.
    async fn list_uploads(&self, request: ListUploads) -> Result<Uploads, Failure> {
        let ListUploads { user_id, newest_first, from, limit } = request;
        let message = wire::ListUploadsRequest { user_id: user_id.to_string(), newest_first, from, limit };
        let method = |mut calls: Calls, message| async move { calls.list_uploads(message).await };
        let answer = self.call(by_user(&user_id), message, method).await?;
        let media_ids = answer.media_ids.iter().map(|id| parse(id)).collect::<Result<_, _>>().map_err(to_failure)?;
        Ok(Uploads { media_ids, total: answer.total })
    }

    /// What the first time has removed is not counted the second time.
    async fn purge_copies(&self, read_before: Timestamp) -> Result<u64, Failure> {
        let message = wire::PurgeCopiesRequest { read_before_ms: read_before.as_millis() };
        let method = |mut calls: Calls, message| async move { calls.purge_copies(message).await };
        Ok(self.call(self.patient(Route::by(RouteKey::random())), message, method).await?.removed)
    }
}
