//! A PNG as its decoder gets to see it: header, palette, pixels, and nothing else of what may be in
//! a file. Pictures of an animation look like files of their own.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::chunks::{Chunk, Chunks, MAGIC, Outline};
use crate::geometry::Size;

/// The decoder holds back some pixels of what it was given, and lets go of them when it is asked
/// again, a few kilobytes each time: at most those of the 64 bits that it reads ahead.
const EMPTY_CHUNKS: u32 = 4;
/// Its value does not matter: the decoder does not look, so that pixels behind a wrong one are
/// shown.
const CHECKSUM: [u8; 4] = [0; 4];
const SEQUENCE_BYTES: usize = 4;

/// Reads the pixels of one picture.
pub(super) struct Stream<'f> {
    data: Data<'f>,
    /// What comes before the content of the next chunk.
    own: Vec<u8>,
    content: &'f [u8],
    /// How far `own` is read; `content` is made shorter.
    at: usize,
    empty_chunks: u32,
}

/// The contents of chunks with pixels.
#[derive(Debug, Clone)]
pub(super) enum Data<'f> {
    /// Of the picture that everybody shows.
    Still(Chunks<'f>),
    /// Of a picture of an animation, to the next.
    Frame(Chunks<'f>),
}

impl<'f> Iterator for Data<'f> {
    type Item = &'f [u8];

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Still(chunks) => chunks.find(|chunk| chunk.kind == *b"IDAT").map(|chunk| chunk.content),
            Self::Frame(chunks) => loop {
                let Chunk { kind, content } = chunks.next()?;
                match &kind {
                    b"IDAT" => return Some(content),
                    b"fdAT" => return Some(content.get(SEQUENCE_BYTES..).unwrap_or_default()),
                    b"fcTL" => return None,
                    _ => {}
                }
            },
        }
    }
}

impl<'f> Stream<'f> {
    /// Of a picture that is `size` large, and otherwise as the outline has it.
    pub(super) fn new(outline: &Outline<'_>, size: Size, data: Data<'f>) -> Self {
        let mut header = outline.header;
        header[..4].copy_from_slice(&size.width.to_be_bytes());
        header[4..8].copy_from_slice(&size.height.to_be_bytes());
        let mut own = MAGIC.to_vec();
        push_chunk(&mut own, *b"IHDR", &header);
        let ancillary = [(*b"PLTE", outline.palette), (*b"tRNS", outline.transparency), (*b"iCCP", outline.profile)];
        for (kind, content) in ancillary.into_iter().filter(|(_, content)| !content.is_empty()) {
            push_chunk(&mut own, kind, content);
        }
        Self { data, own, content: &[], at: 0, empty_chunks: 0 }
    }

    /// Goes to the next chunk; at the end, none is left.
    fn advance(&mut self) {
        // The checksum of the chunk before. The first one comes after whole chunks.
        let is_first = self.own.starts_with(&MAGIC);
        self.own.clear();
        self.at = 0;
        if !is_first {
            self.own.extend(CHECKSUM);
        }
        // After the last chunk of this picture come those of the next.
        let content = if self.empty_chunks == 0 { self.data.next() } else { None };
        match content {
            Some(content) => self.content = content,
            None if self.empty_chunks < EMPTY_CHUNKS => self.empty_chunks += 1,
            None => return self.own.clear(),
        }
        push_head(&mut self.own, *b"IDAT", self.content.len());
    }
}

fn push_chunk(file: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    push_head(file, kind, content.len());
    file.extend_from_slice(content);
    file.extend(CHECKSUM);
}

fn push_head(file: &mut Vec<u8>, kind: [u8; 4], length: usize) {
    file.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    file.extend(kind);
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.own.len() && self.content.is_empty() {
            self.advance();
        }
        Ok(if self.at < self.own.len() { &self.own[self.at..] } else { self.content })
    }

    fn consume(&mut self, amount: usize) {
        if self.at < self.own.len() {
            self.at = (self.at + amount).min(self.own.len());
        } else {
            self.content = self.content.get(amount..).unwrap_or_default();
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl Seek for Stream<'_> {
    /// The decoder asks for this, and never does it.
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
