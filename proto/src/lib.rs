//! The contracts: the only place where services meet.
//!
//! Each contract is a trait that speaks domain types. Callers hold an `Arc<dyn …Service>`
//! and cannot tell whether the service runs in this process or behind gRPC: the adapters
//! here (`Grpc…Server`, `Grpc…Client`) parse once, at the edge.

mod federation;
mod follow;
mod link;
pub mod placement;
mod pool;
mod resume;
mod seam;
mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod thumbnail;
mod traced;
mod upload;

pub use federation::{
    FederationService, Fetch, FetchThumbnail, FindKey, FoundKey, GrpcFederationClient, GrpcFederationServer,
    MOST_FOREIGN_BYTES, MediaBody, Preview, RemoteMedia,
};
pub use follow::{
    FetchPeer, FollowError, Followed, Following, GrpcFetchPeerClient, GrpcFetchPeerServer, RemoteHead, StoredCopy,
};
pub use link::Link;
pub use placement::RouteKey;
pub use pool::{Names, Pool, SystemNames, find_instances};
pub use seam::{Differs, Seam};
pub use status::leaving;
pub use thumbnail::{
    Describe, Description, GrpcThumbnailClient, GrpcThumbnailServer, MOST_THUMBNAIL_BYTES, NEW_PICTURES, Remake,
    Render, Thumbnail, ThumbnailService,
};
pub use upload::{
    Action, Begin, BlobId, Block, Commit, Complete, GrpcUploadClient, GrpcUploadServer, InvalidBlobId, ListUploads,
    Moderate, Presign, Reservation, Reserve, Target, Ticket, UploadService, Uploads, Usage,
};

/// The generated messages and stubs. Nothing outside this crate needs them, but the gRPC
/// server types to be registered.
#[expect(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated from the .proto files, which hold the documentation"
)]
pub mod wire {
    pub mod upload {
        tonic::include_proto!("heliograph.upload.v1");
    }
    pub mod thumbnail {
        tonic::include_proto!("heliograph.thumbnail.v1");
    }
    pub mod federation {
        tonic::include_proto!("heliograph.federation.v1");
    }
}
