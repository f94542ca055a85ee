//! The picture of a preview: it enters as any upload does, and leaves when its time is over.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use heliograph_blobs::{BlobStore, Key, Observed, Observer};
use heliograph_catalog::preview_picture_key;
use heliograph_leases::State;
use heliograph_preview::{Picture, PictureCopy, Preview};
use heliograph_proto::{Begin, Commit, Target, Ticket, UploadService};
use heliograph_types::{Clock, ContentType, Mxc, Timestamp, UserId};
use tokio::time::Instant;

use super::{Previews, stream::Stream, sweep::INDEX, visit::Wish};
use crate::metrics;

const PICTURES: &str = "image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.1";
/// Of a picture so much is looked at before any of it is stored: its size is told by then.
const BEGINNING: usize = 256 << 10;
/// What every client shows.
const TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Where pictures are kept.
pub(crate) struct Pictures {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) uploads: Arc<dyn UploadService>,
    pub(crate) state: State,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) most_bytes: u64,
}

/// A picture of which enough has arrived to know what it is.
struct Arriving {
    content_type: ContentType,
    dimensions: (u32, u32),
    beginning: Bytes,
    stream: Stream,
}

/// An answer that is a picture, most likely, of which a little was read.
pub(crate) struct Begun {
    pub(crate) beginning: Option<Bytes>,
    pub(crate) stream: Stream,
}

impl Previews {
    /// The first of the pictures that can be had, where the first of all may have begun to
    /// arrive. Nothing fails without one.
    pub(crate) async fn take_picture(
        &self,
        wish: &Wish,
        (preview, mut begun): (&Preview, Option<Begun>),
        gone_at: Timestamp,
        deadline: Instant,
    ) -> Option<PictureCopy> {
        for picture in preview.pictures() {
            let begun = match begun.take() {
                Some(begun) => Ok(begun),
                None => self.ask_for(wish, picture, deadline).await,
            };
            let arriving = match begun {
                Ok(begun) => self.look_at(begun).await,
                Err(reason) => Err(reason),
            };
            let taken = match arriving {
                Ok(arriving) => self.pictures.take_in(wish, picture, arriving, gone_at).await,
                Err(reason) => Err(reason),
            };
            match taken {
                Ok(copy) => {
                    metrics::preview_picture("stored");
                    return Some(copy);
                }
                Err(reason) => {
                    tracing::debug!(reason, "a picture of a page is not taken");
                    metrics::preview_picture("refused");
                }
            }
        }
        None
    }

    async fn ask_for(&self, wish: &Wish, picture: &Picture, deadline: Instant) -> Result<Begun, String> {
        let answer = self.site.ask(&picture.url, wish.asker(PICTURES, deadline)).await?;
        Ok(Begun { beginning: None, stream: Stream::new(answer.response, self.config.read_timeout, deadline) })
    }

    async fn look_at(&self, Begun { beginning, mut stream }: Begun) -> Result<Arriving, String> {
        if stream.declared_bytes().is_some_and(|bytes| bytes > self.pictures.most_bytes) {
            return Err("the picture is too large".to_owned());
        }
        let mut beginning = beginning.map(BytesMut::from).unwrap_or_default();
        while beginning.len() < BEGINNING
            && let Some(chunk) = stream.next().await?
        {
            beginning.extend_from_slice(&chunk);
        }
        let beginning = beginning.freeze();
        let (content_type, dimensions) = look_at(&beginning).ok_or("this is no picture that clients show")?;
        Ok(Arriving { content_type, dimensions, beginning, stream })
    }
}

/// What a picture is, by its content.
fn look_at(beginning: &[u8]) -> Option<(ContentType, (u32, u32))> {
    let mut observer = Observer::default();
    observer.observe(beginning);
    let content_type = observer.finish().sniffed_type.filter(|kind| TYPES.contains(&kind.as_str()))?;
    let size = imagesize::blob_size(beginning).ok()?;
    let dimensions = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    (dimensions.0 > 0 && dimensions.1 > 0).then_some((content_type, dimensions))
}

impl Pictures {
    async fn take_in(
        &self,
        Wish { tenant, .. }: &Wish,
        picture: &Picture,
        arriving: Arriving,
        gone_at: Timestamp,
    ) -> Result<PictureCopy, String> {
        let uploader = UserId::of_previews(tenant).map_err(|error| error.to_string())?;
        let declared_bytes = arriving.stream.declared_bytes();
        let begin =
            Begin { target: Target::New(tenant.clone()), uploader: Some(uploader), declared_bytes, store: None };
        let ticket = self.uploads.begin(begin).await.map_err(|failure| failure.to_string())?;
        let (content_type, dimensions) = (arriving.content_type.clone(), Some(arriving.dimensions));
        match self.fill(&ticket, arriving, gone_at).await {
            Ok(size) => Ok(PictureCopy {
                mxc: ticket.mxc,
                content_type: content_type.as_str().to_owned(),
                size,
                dimensions,
                alt: picture.alt.clone(),
            }),
            Err(reason) => {
                self.give_up(&ticket, gone_at).await;
                Err(reason)
            }
        }
    }

    /// Its end is written down before it is there, in the store: what nobody knows of would stay.
    async fn fill(&self, ticket: &Ticket, arriving: Arriving, gone_at: Timestamp) -> Result<u64, String> {
        let noted = self.blobs.put(&preview_picture_key(&ticket.mxc, gone_at), Bytes::new()).await;
        noted.map_err(|error| error.to_string())?;
        let indexed = self.state.insert(INDEX, &ticket.mxc.to_string(), gone_at.as_millis()).await;
        indexed.map_err(|error| error.to_string())?;
        let content_type = arriving.content_type.clone();
        let Observed { size_bytes, sha256, sniffed_type } = self.write(ticket, arriving).await?;
        let commit = Commit {
            ticket: ticket.clone(),
            size_bytes,
            sha256: Some(sha256),
            content_type,
            sniffed_type,
            file_name: None,
            is_direct: false,
        };
        self.uploads.commit(commit).await.map_err(|failure| failure.to_string())?;
        Ok(size_bytes)
    }

    async fn write(&self, ticket: &Ticket, arriving: Arriving) -> Result<Observed, String> {
        let key = Key::new(ticket.blob.as_str()).map_err(|error| error.to_string())?;
        let mut writer = self.blobs.begin(&key).await.map_err(|error| error.to_string())?;
        let Arriving { beginning, mut stream, .. } = arriving;
        let (mut next, mut observer, mut told_at) = (Some(beginning), Observer::default(), Instant::now());
        let most_bytes = self.most_bytes.min(ticket.max_bytes);
        let copied: Result<(), String> = async {
            while let Some(piece) = next {
                observer.observe(&piece);
                if observer.size_bytes() > most_bytes {
                    return Err("the picture is too large".to_owned());
                }
                writer.write(piece).await.map_err(|error| error.to_string())?;
                if told_at.elapsed() >= ticket.report_every() {
                    told_at = Instant::now();
                    let told = self.uploads.progress(ticket, observer.size_bytes()).await;
                    told.map_err(|failure| failure.to_string())?;
                }
                next = stream.next().await?;
            }
            Ok(())
        }
        .await;
        if let Err(reason) = copied {
            writer.abort().await;
            return Err(reason);
        }
        writer.finish().await.map_err(|error| error.to_string())?;
        Ok(observer.finish())
    }

    /// If this fails too, the orchestrator removes the remains, and the sweep the entry.
    async fn give_up(&self, ticket: &Ticket, gone_at: Timestamp) {
        if let Err(error) = self.uploads.abort(ticket).await {
            tracing::warn!(mxc = %ticket.mxc, %error, "a picture that did not arrive could not be given up");
        } else if let Err(reason) = self.forget(&ticket.mxc, gone_at).await {
            tracing::debug!(mxc = %ticket.mxc, reason, "a picture that is not there stays in the index for now");
        }
    }

    /// The note first: without it the index is not made again.
    pub(crate) async fn forget(&self, mxc: &Mxc, gone_at: Timestamp) -> Result<(), String> {
        let forgotten = self.blobs.delete(&preview_picture_key(mxc, gone_at)).await;
        forgotten.map_err(|error| error.to_string())?;
        self.state.remove(INDEX, &mxc.to_string()).await.map_err(|error| error.to_string())
    }
}
