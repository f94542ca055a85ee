//! The contract of the thumbnailer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::{ContentType, Failure, Mxc, ThumbnailMethod, ThumbnailSpec};
use tonic::{Request, Response, Status};

use crate::{
    link::{Connection, Link},
    status::{missing, parse, to_failure, to_status},
    wire::thumbnail as wire,
};

/// The largest thumbnail that travels in one answer.
pub const MOST_THUMBNAIL_BYTES: usize = 32 << 20;
/// A message has more in it than the picture: its type, and the framing.
const MOST_MESSAGE_BYTES: usize = MOST_THUMBNAIL_BYTES + (64 << 10);

/// Asks for a thumbnail of media that is stored here, be it ours or a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// Of what.
    pub mxc: Mxc,
    /// Which.
    pub spec: ThumbnailSpec,
}

/// Asks for a thumbnail of a picture that is stored nowhere, such as one that another server has
/// made. It may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remake {
    /// The file.
    pub image: Bytes,
    /// Which.
    pub spec: ThumbnailSpec,
}

/// A finished thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// True to the bytes: `image/jpeg` or `image/png`.
    pub content_type: ContentType,
    /// The encoded picture.
    pub image: Bytes,
}

/// Asks what a picture that is stored here looks like from afar.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Describe {
    /// Which.
    pub mxc: Mxc,
}

/// What is known of a picture that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Pixels, as people see it: turned the way its EXIF orientation says.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// Its colors, blurred (MSC2448). What is transparent counts as white.
    pub blurhash: String,
}

/// Makes thumbnails. The only one who decodes pictures.
#[async_trait]
pub trait ThumbnailService: Send + Sync + 'static {
    /// Makes a thumbnail and stores it. A stored one is answered as it is; callers that
    /// ask for the same one at once share one render.
    ///
    /// `NotFound` without such media, `CannotThumbnail` for what is no picture, is broken
    /// or has an unknown format, `TooLarge` for too many pixels or bytes, `LimitExceeded`
    /// without room in the queue.
    async fn render(&self, request: Render) -> Result<Thumbnail, Failure>;

    /// Makes a thumbnail of what the caller brings, and keeps nothing; the same at once is made
    /// once. Fails as [`Self::render`] does, with `RemoteTooLarge` for too many pixels, and takes
    /// its place in the same queue.
    async fn remake(&self, request: Remake) -> Result<Thumbnail, Failure>;

    /// Looks at a picture without keeping anything; callers that ask for the same one at
    /// once share one look. Fails as [`Self::render`] does, and takes its place in the same
    /// queue.
    async fn describe(&self, request: Describe) -> Result<Description, Failure>;
}

/// Serves a [`ThumbnailService`] over gRPC.
#[derive(Clone)]
pub struct GrpcThumbnailServer(Arc<dyn ThumbnailService>);

impl GrpcThumbnailServer {
    /// The tonic service, to be added to a server.
    pub fn new(service: Arc<dyn ThumbnailService>) -> wire::thumbnail_service_server::ThumbnailServiceServer<Self> {
        wire::thumbnail_service_server::ThumbnailServiceServer::new(Self(service))
            .max_encoding_message_size(MOST_MESSAGE_BYTES)
            .max_decoding_message_size(MOST_MESSAGE_BYTES)
    }
}

#[async_trait]
impl wire::thumbnail_service_server::ThumbnailService for GrpcThumbnailServer {
    async fn render(&self, request: Request<wire::RenderRequest>) -> Result<Response<wire::RenderResponse>, Status> {
        let message = request.into_inner();
        let method = to_method(message.method())?;
        let wire::RenderRequest { mxc, width, height, animated, .. } = message;
        let request = Render { mxc: parse(&mxc)?, spec: ThumbnailSpec { width, height, method, animated } };
        let Thumbnail { content_type, image } = self.0.render(request).await.map_err(to_status)?;
        Ok(Response::new(wire::RenderResponse { content_type: content_type.to_string(), image }))
    }

    async fn remake(&self, request: Request<wire::RemakeRequest>) -> Result<Response<wire::RenderResponse>, Status> {
        let message = request.into_inner();
        let method = to_method(message.method())?;
        let wire::RemakeRequest { image, width, height, animated, .. } = message;
        let request = Remake { image, spec: ThumbnailSpec { width, height, method, animated } };
        let Thumbnail { content_type, image } = self.0.remake(request).await.map_err(to_status)?;
        Ok(Response::new(wire::RenderResponse { content_type: content_type.to_string(), image }))
    }

    async fn describe(
        &self,
        request: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::DescribeResponse>, Status> {
        let request = Describe { mxc: parse(&request.get_ref().mxc)? };
        let Description { width, height, blurhash } = self.0.describe(request).await.map_err(to_status)?;
        Ok(Response::new(wire::DescribeResponse { width, height, blurhash }))
    }
}

fn to_method(method: wire::Method) -> Result<ThumbnailMethod, Status> {
    match method {
        wire::Method::Unspecified => Err(missing("method")),
        wire::Method::Scale => Ok(ThumbnailMethod::Scale),
        wire::Method::Crop => Ok(ThumbnailMethod::Crop),
    }
}

fn of_method(method: ThumbnailMethod) -> i32 {
    match method {
        ThumbnailMethod::Scale => wire::Method::Scale.into(),
        ThumbnailMethod::Crop => wire::Method::Crop.into(),
    }
}

fn read_thumbnail(wire::RenderResponse { content_type, image }: wire::RenderResponse) -> Result<Thumbnail, Failure> {
    Ok(Thumbnail { content_type: parse(&content_type).map_err(to_failure)?, image })
}

/// A [`ThumbnailService`] behind gRPC.
#[derive(Debug, Clone)]
pub struct GrpcThumbnailClient(wire::thumbnail_service_client::ThumbnailServiceClient<Connection>);

impl GrpcThumbnailClient {
    /// The service at the other end of `link`.
    pub fn new(link: Link) -> Self {
        let client = wire::thumbnail_service_client::ThumbnailServiceClient::new(link.0);
        Self(client.max_decoding_message_size(MOST_MESSAGE_BYTES).max_encoding_message_size(MOST_MESSAGE_BYTES))
    }
}

#[async_trait]
impl ThumbnailService for GrpcThumbnailClient {
    async fn render(&self, Render { mxc, spec }: Render) -> Result<Thumbnail, Failure> {
        let message = wire::RenderRequest {
            mxc: mxc.to_string(),
            width: spec.width,
            height: spec.height,
            method: of_method(spec.method),
            animated: spec.animated,
        };
        read_thumbnail(self.0.clone().render(message).await.map_err(to_failure)?.into_inner())
    }

    async fn remake(&self, Remake { image, spec }: Remake) -> Result<Thumbnail, Failure> {
        let message = wire::RemakeRequest {
            image,
            width: spec.width,
            height: spec.height,
            method: of_method(spec.method),
            animated: spec.animated,
        };
        read_thumbnail(self.0.clone().remake(message).await.map_err(to_failure)?.into_inner())
    }

    async fn describe(&self, Describe { mxc }: Describe) -> Result<Description, Failure> {
        let message = wire::DescribeRequest { mxc: mxc.to_string() };
        let wire::DescribeResponse { width, height, blurhash } =
            self.0.clone().describe(message).await.map_err(to_failure)?.into_inner();
        Ok(Description { width, height, blurhash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service whose thumbnails are as large as can be.
    struct Largest;

    #[async_trait]
    impl ThumbnailService for Largest {
        async fn render(&self, _: Render) -> Result<Thumbnail, Failure> {
            let image = Bytes::from(vec![7; MOST_THUMBNAIL_BYTES]);
            Ok(Thumbnail { content_type: ContentType::octet_stream(), image })
        }

        async fn remake(&self, request: Remake) -> Result<Thumbnail, Failure> {
            Ok(Thumbnail { content_type: ContentType::octet_stream(), image: request.image })
        }

        async fn describe(&self, _: Describe) -> Result<Description, Failure> {
            Err(Failure::not_found())
        }
    }

    #[tokio::test]
    async fn the_largest_thumbnail_travels() {
        let service = crate::testing::Way::OverGrpc.to_thumbnails(Arc::new(Largest)).await;
        let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Scale, animated: false };

        let thumbnail = service.render(Render { mxc: "mxc://a/b".parse().unwrap(), spec }).await.unwrap();

        assert_eq!(thumbnail.image.len(), MOST_THUMBNAIL_BYTES);
        let image = thumbnail.image;
        assert!(service.remake(Remake { image: image.clone(), spec }).await.unwrap().image == image);
    }
}
