//! A part of a file, piece by piece.
//!
//! What the kernel has in memory is read on the spot: a change of threads costs more than the
//! bytes. What it has not is read on a thread that may wait.

mod buffers;
mod pace;

use std::{fs::File, io, num::NonZeroU64, ops::Range, os::unix::fs::FileExt, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{Stream, stream};

use self::{buffers::Buffer, pace::Pace};
use super::translate_io;
use crate::{BlobError, Key};

/// After one piece had to be waited for, so much is fetched beyond it.
const AHEAD_BYTES: u64 = 1 << 20;

/// Where a reader is.
struct Place {
    key: Key,
    file: Arc<File>,
    left: Range<u64>,
    pace: Pace,
}

/// The bytes of `range`, in pieces of `small_bytes`, and larger ones for who is fast. It is an error if the file ends before.
pub(super) fn read(
    key: Key,
    file: File,
    range: Range<u64>,
    small_bytes: usize,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
    let place = Place { key, file: Arc::new(file), left: range, pace: Pace::new(small_bytes, Instant::now()) };
    stream::try_unfold(place, move |mut place| async move {
        if place.left.is_empty() {
            return Ok(None);
        }
        let left = usize::try_from(place.left.end - place.left.start).unwrap_or(usize::MAX);
        let piece = read_piece(&place.key, &place.file, place.left.start, left.min(place.pace.piece_bytes())).await?;
        place.left.start += piece.len() as u64;
        place.pace.take(piece.len() as u64, Instant::now);
        Ok(Some((piece, place)))
    })
}

/// The next bytes: at least one, at most `length`.
async fn read_piece(key: &Key, file: &Arc<File>, at: u64, length: usize) -> Result<Bytes, BlobError> {
    let mut buffer = Buffer::take(length);
    let read = match read_at_once(file, buffer.room(), at) {
        Ok(read) => Ok((read, buffer)),
        Err(_) => read_patiently(Arc::clone(file), buffer, at).await,
    };
    match read.map_err(|error| translate_io(key.as_str(), error))? {
        (0, _) => Err(too_short(key)),
        (read, buffer) => Ok(buffer.into_bytes(read)),
    }
}

/// Fails if it would have to wait, or if the file system cannot tell.
#[cfg(target_os = "linux")]
fn read_at_once(file: &File, room: &mut [u8], at: u64) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};

    Ok(preadv2(file, &mut [io::IoSliceMut::new(room)], at, ReadWriteFlags::NOWAIT)?)
}

#[cfg(not(target_os = "linux"))]
fn read_at_once(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

async fn read_patiently(file: Arc<File>, mut buffer: Buffer, at: u64) -> io::Result<(usize, Buffer)> {
    let read = tokio::task::spawn_blocking(move || {
        let read = file.read_at(buffer.room(), at)?;
        look_ahead(&file, at + read as u64);
        Ok((read, buffer))
    });
    read.await.map_err(io::Error::other).flatten()
}

/// Has the kernel fetch what comes next, so that it can be read on the spot. A hint: if it is not
/// taken, nothing is lost.
#[cfg(target_os = "linux")]
fn look_ahead(file: &File, from: u64) {
    let _ = rustix::fs::fadvise(file, from, NonZeroU64::new(AHEAD_BYTES), rustix::fs::Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn look_ahead(_: &File, _: u64) {}

pub(super) fn too_short(key: &Key) -> BlobError {
    let source = "the file is shorter than it was when it was stored".into();
    BlobError::Failed { key: key.to_string(), source }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    fn file(length: usize) -> (File, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content, 0).unwrap();
        (file, content)
    }

    fn key() -> Key {
        Key::new("blobs/a").unwrap()
    }

    #[tokio::test]
    async fn a_part_comes_in_its_pieces() {
        let (file, content) = file(10_000);

        let pieces: Vec<Bytes> = read(key(), file, 100..9_000, 4_096).try_collect().await.unwrap();

        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [4_096, 4_096, 708]);
        assert_eq!(pieces.concat(), content[100..9_000]);
    }

    #[tokio::test]
    async fn a_file_that_was_cut_off_is_an_error_and_not_a_shorter_one() {
        let (file, content) = file(5_000);
        let mut pieces = std::pin::pin!(read(key(), file, 0..10_000, 4_096));

        let mut arrived = Vec::new();
        let end = loop {
            match pieces.try_next().await {
                Ok(Some(piece)) => arrived.extend_from_slice(&piece),
                end => break end,
            }
        };

        assert_eq!(arrived, content);
        assert!(end.unwrap_err().to_string().contains("shorter"));
    }

    #[tokio::test]
    async fn waiting_for_the_disk_gives_the_same_bytes() {
        let (file, content) = file(5_000);

        let (read, buffer) = read_patiently(Arc::new(file), Buffer::take(4_096), 1_000).await.unwrap();

        assert_eq!(buffer.into_bytes(read), content[1_000..5_000]);
    }
}
