//! The walk through a PNG: a signature and chunks.

use crate::{
    exif,
    walk::{Fate, Step, Walk},
};

const SIGNATURE_BYTES: u64 = 8;
/// Length and name in front of the content of a chunk.
const HEAD_BYTES: usize = 8;
/// The checksum after it.
const CHECK_BYTES: usize = 4;
/// The most that the content of a chunk may have.
const MOST_CONTENT_BYTES: u32 = i32::MAX.cast_unsigned();

/// Chunks besides the critical ones that say how the picture looks.
const KEPT: [&[u8; 4]; 15] = [
    b"acTL", b"bKGD", b"cHRM", b"cICP", b"cLLI", b"fcTL", b"fdAT", b"gAMA", b"hIST", b"iCCP", b"mDCV", b"pHYs",
    b"sBIT", b"sRGB", b"tRNS",
];

/// The walk through a PNG.
#[derive(Debug, Default)]
pub(crate) struct PngWalk {
    has_begun: bool,
    has_exif: bool,
    has_ended: bool,
}

impl Walk for PngWalk {
    fn step(&mut self, seen: &[u8]) -> Step {
        if self.has_ended {
            return Step::DROP_THE_REST;
        }
        if !self.has_begun {
            self.has_begun = true;
            return Step::keep(SIGNATURE_BYTES);
        }
        match seen.first_chunk() {
            Some(head) => self.at_chunk(*head, seen),
            None => Step::Need(HEAD_BYTES),
        }
    }

    fn is_metadata(&self, rest: &[u8]) -> bool {
        rest.get(4..8) == Some(b"eXIf")
    }
}

impl PngWalk {
    fn at_chunk(&mut self, head: [u8; HEAD_BYTES], seen: &[u8]) -> Step {
        let [a, b, c, d, name @ ..] = head;
        let content_bytes = u32::from_be_bytes([a, b, c, d]);
        if content_bytes > MOST_CONTENT_BYTES || !name.iter().all(u8::is_ascii_alphabetic) {
            return Step::Broken;
        }
        let bytes = u64::from(content_bytes) + (HEAD_BYTES + CHECK_BYTES) as u64;
        match &name {
            b"eXIf" if !self.has_exif => self.at_exif(content_bytes as usize, bytes, seen),
            name if name[0].is_ascii_uppercase() || KEPT.contains(&name) => {
                self.has_ended = name == b"IEND";
                Step::keep(bytes)
            }
            _ => Step::Span(Fate::Drop, bytes),
        }
    }

    fn at_exif(&mut self, content_bytes: usize, bytes: u64, seen: &[u8]) -> Step {
        let needed = HEAD_BYTES + content_bytes.min(exif::MOST_BYTES);
        let Some(head) = seen.get(..needed) else { return Step::Need(needed) };
        self.has_exif = true;
        let by = match exif::orientation(&head[HEAD_BYTES..]) {
            exif::UPRIGHT => Vec::new(),
            orientation => chunk(*b"eXIf", &exif::minimal(orientation)),
        };
        let rest = bytes - needed as u64;
        let removed_bytes = needed.saturating_sub(by.len()) as u64;
        Step::Replace { seen: needed, by, removed_bytes, then: (Fate::Drop, rest) }
    }
}

/// A whole chunk with a short content.
fn chunk(name: [u8; 4], content: &[u8; exif::MINIMAL_BYTES]) -> Vec<u8> {
    let named = [name.as_slice(), content].concat();
    let check = crc32fast::hash(&named).to_be_bytes();
    [&[0, 0, 0, 26], named.as_slice(), &check].concat()
}
