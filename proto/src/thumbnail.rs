//! The contract of the thumbnailer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::{ContentType, Failure, Mxc, ThumbnailFormat, ThumbnailMethod, ThumbnailSpec};
use tonic::{Request, Response, Status};

use crate::{
    Pool, RouteKey,
    link::Connection,
    pool::Route,
    status::{missing, parse, to_failure, to_status},
    wire::thumbnail as wire,
};

/// The largest thumbnail that travels in one answer.
pub const MOST_THUMBNAIL_BYTES: usize = 32 << 20;
/// The queue of new pictures, of which thumbnails are made before anybody asks. The front adds them,
/// each by its [`Mxc`] as text, and thumbnailers do what [`ThumbnailService::describe`] does.
pub const NEW_PICTURES: &str = "thumbnails";
/// A message has more in it than the picture: its type, and the framing.
const MOST_MESSAGE_BYTES: usize = MOST_THUMBNAIL_BYTES + (64 << 10);

/// Asks for a thumbnail of media that is stored here, be it ours or a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// Of what.
    pub mxc: Mxc,
    /// Which.
    pub spec: ThumbnailSpec,
    /// In what. What moves is always WebP.
    pub format: ThumbnailFormat,
}

/// Asks for a thumbnail of a picture that is stored nowhere, such as one that another server has
/// made. It may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remake {
    /// The file.
    pub image: Bytes,
    /// Which.
    pub spec: ThumbnailSpec,
    /// In what. What moves is always WebP.
    pub format: ThumbnailFormat,
}

/// A finished thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// True to the bytes: `image/jpeg`, `image/png`, `image/webp` or `image/avif`.
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
    /// How long it moves, in milliseconds; 0 for one that stands still.
    pub duration_ms: u64,
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

    /// Looks at a picture, unless that was done before, and keeps what it saw; callers that ask for
    /// the same one at once share one look. What else is made of each new picture comes out of the
    /// same look. Fails as [`Self::render`] does, and takes its place in the same queue.
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
        let (method, format) = (to_method(message.method())?, to_format(message.format()));
        let wire::RenderRequest { mxc, width, height, animated, .. } = message;
        let request = Render { mxc: parse(&mxc)?, spec: ThumbnailSpec { width, height, method, animated }, format };
        let Thumbnail { content_type, image } = self.0.render(request).await.map_err(to_status)?;
        Ok(Response::new(wire::RenderResponse { content_type: content_type.to_string(), image }))
    }

    async fn remake(&self, request: Request<wire::RemakeRequest>) -> Result<Response<wire::RenderResponse>, Status> {
        let message = request.into_inner();
        let (method, format) = (to_method(message.method())?, to_format(message.format()));
        let wire::RemakeRequest { image, width, height, animated, .. } = message;
        let request = Remake { image, spec: ThumbnailSpec { width, height, method, animated }, format };
        let Thumbnail { content_type, image } = self.0.remake(request).await.map_err(to_status)?;
        Ok(Response::new(wire::RenderResponse { content_type: content_type.to_string(), image }))
    }

    async fn describe(
        &self,
        request: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::DescribeResponse>, Status> {
        let request = Describe { mxc: parse(&request.get_ref().mxc)? };
        let Description { width, height, blurhash, duration_ms } = self.0.describe(request).await.map_err(to_status)?;
        Ok(Response::new(wire::DescribeResponse { width, height, blurhash, duration_ms }))
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

/// A format that we do not know is one that nobody needs.
fn to_format(format: wire::Format) -> ThumbnailFormat {
    match format {
        wire::Format::Unspecified => ThumbnailFormat::Usual,
        wire::Format::Webp => ThumbnailFormat::WebP,
        wire::Format::Avif => ThumbnailFormat::Avif,
    }
}

fn of_format(format: ThumbnailFormat) -> i32 {
    match format {
        ThumbnailFormat::Usual => wire::Format::Unspecified.into(),
        ThumbnailFormat::WebP => wire::Format::Webp.into(),
        ThumbnailFormat::Avif => wire::Format::Avif.into(),
    }
}

fn read_thumbnail(wire::RenderResponse { content_type, image }: wire::RenderResponse) -> Result<Thumbnail, Failure> {
    Ok(Thumbnail { content_type: parse(&content_type).map_err(to_failure)?, image })
}

/// A [`ThumbnailService`] behind gRPC.
#[derive(Debug, Clone)]
pub struct GrpcThumbnailClient(Pool);

type Calls = wire::thumbnail_service_client::ThumbnailServiceClient<Connection>;

impl GrpcThumbnailClient {
    /// The service at the instances of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self(pool)
    }

    async fn call<M, T, F>(&self, route: Route, message: M, method: impl Fn(Calls, M) -> F) -> Result<T, Failure>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let method = |connection, message| {
            let calls = Calls::new(connection).max_decoding_message_size(MOST_MESSAGE_BYTES);
            method(calls.max_encoding_message_size(MOST_MESSAGE_BYTES), message)
        };
        self.0.call(&route, message, method).await.map_err(to_failure)
    }
}

/// All that concerns a picture meets in one place: its original is read once, and who wants the
/// same at once shares it. Made twice, or elsewhere because that place is busy, it is the same: a
/// lease and the stored key see to it that others wait, and the result is derived from content
/// that never changes.
fn by_picture(mxc: &Mxc) -> Route {
    Route::by(RouteKey::of(&mxc.to_string())).overflowing()
}

#[async_trait]
impl ThumbnailService for GrpcThumbnailClient {
    async fn render(&self, Render { mxc, spec, format }: Render) -> Result<Thumbnail, Failure> {
        let message = wire::RenderRequest {
            mxc: mxc.to_string(),
            width: spec.width,
            height: spec.height,
            method: of_method(spec.method),
            animated: spec.animated,
            format: of_format(format),
        };
        let method = |mut calls: Calls, message| async move { calls.render(message).await };
        read_thumbnail(self.call(by_picture(&mxc), message, method).await?)
    }

    /// Its content is not stored, and nothing of it is kept: any instance is as good. The same
    /// content goes to the same one, where it is made once.
    async fn remake(&self, Remake { image, spec, format }: Remake) -> Result<Thumbnail, Failure> {
        let route = Route::by(RouteKey::of_bytes(&image)).overflowing();
        let message = wire::RemakeRequest {
            image,
            width: spec.width,
            height: spec.height,
            method: of_method(spec.method),
            animated: spec.animated,
            format: of_format(format),
        };
        let method = |mut calls: Calls, message| async move { calls.remake(message).await };
        read_thumbnail(self.call(route, message, method).await?)
    }

    async fn describe(&self, Describe { mxc }: Describe) -> Result<Description, Failure> {
        let message = wire::DescribeRequest { mxc: mxc.to_string() };
        let method = |mut calls: Calls, message| async move { calls.describe(message).await };
        let wire::DescribeResponse { width, height, blurhash, duration_ms } =
            self.call(by_picture(&mxc), message, method).await?;
        Ok(Description { width, height, blurhash, duration_ms })
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::ThumbnailVariant;

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

    /// A service that answers what it was asked.
    struct Echo;

    fn said(spec: ThumbnailSpec, format: ThumbnailFormat) -> Thumbnail {
        let image = Bytes::from(ThumbnailVariant { spec, format }.to_string());
        Thumbnail { content_type: ContentType::octet_stream(), image }
    }

    #[async_trait]
    impl ThumbnailService for Echo {
        async fn render(&self, Render { spec, format, .. }: Render) -> Result<Thumbnail, Failure> {
            Ok(said(spec, format))
        }

        async fn remake(&self, Remake { spec, format, .. }: Remake) -> Result<Thumbnail, Failure> {
            Ok(said(spec, format))
        }

        async fn describe(&self, request: Describe) -> Result<Description, Failure> {
            Ok(Description { width: 1, height: 2, blurhash: request.mxc.to_string(), duration_ms: 3 })
        }
    }

    #[tokio::test]
    async fn all_that_is_asked_and_answered_travels() {
        let service = crate::testing::Way::OverGrpc.to_thumbnails(Arc::new(Echo)).await;
        let mxc: Mxc = "mxc://a/b".parse().unwrap();

        for text in ["1x2-scale", "3x4-crop-animated", "5x6-crop.webp", "7x8-scale-animated.avif"] {
            let ThumbnailVariant { spec, format } = text.parse().unwrap();
            let rendered = service.render(Render { mxc: mxc.clone(), spec, format }).await.unwrap();
            let remade = service.remake(Remake { image: Bytes::new(), spec, format }).await.unwrap();
            assert_eq!((&rendered.image[..], &remade.image[..]), (text.as_bytes(), text.as_bytes()));
        }
        let seen = service.describe(Describe { mxc: mxc.clone() }).await.unwrap();
        assert_eq!(seen, Description { width: 1, height: 2, blurhash: mxc.to_string(), duration_ms: 3 });
    }

    #[tokio::test]
    async fn the_largest_thumbnail_travels() {
        let service = crate::testing::Way::OverGrpc.to_thumbnails(Arc::new(Largest)).await;
        let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Scale, animated: false };

        let thumbnail = service
            .render(Render { mxc: "mxc://a/b".parse().unwrap(), spec, format: ThumbnailFormat::Usual })
            .await
            .unwrap();

        assert_eq!(thumbnail.image.len(), MOST_THUMBNAIL_BYTES);
        let image = thumbnail.image;
        assert!(
            service.remake(Remake { image: image.clone(), spec, format: ThumbnailFormat::Usual }).await.unwrap().image
                == image
        );
    }
}
