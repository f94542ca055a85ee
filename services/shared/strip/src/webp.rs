//! The walk through a WebP: RIFF chunks.
//!
//! The size of the file stands at its beginning and its metadata at its end. So nothing is taken out:
//! metadata is overwritten with zeros, under a name that readers skip, and every size stays.
//! EXIF stays EXIF, with the orientation alone, since its flag has passed by then.

use crate::{
    exif,
    walk::{Fate, Step, Walk},
};

/// `RIFF`, the size, `WEBP`.
const BEGINNING_BYTES: u64 = 12;
/// Name and size in front of the content of a chunk.
const HEAD_BYTES: usize = 8;
/// Where the flags of `VP8X` are, from the beginning of the chunk.
const FLAGS_AT: usize = 8;
const XMP_FLAG: u8 = 1 << 2;
/// What RIFF calls a chunk to be skipped.
const PADDING: &[u8; 4] = b"JUNK";
/// Chunks of which pictures are made.
const KEPT: [&[u8; 4]; 6] = [b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"VP8 ", b"VP8L"];

/// The walk through a WebP.
#[derive(Debug, Default)]
pub(crate) struct WebPWalk {
    /// Bytes until the end that was told; `None` before it was.
    left: Option<u64>,
}

impl Walk for WebPWalk {
    fn step(&mut self, seen: &[u8]) -> Step {
        let Some(left) = self.left else { return self.begin(seen) };
        if left == 0 {
            return Step::DROP_THE_REST;
        }
        if left < HEAD_BYTES as u64 {
            self.left = Some(0);
            return Step::Span(Fate::Blank, left);
        }
        match seen.first_chunk() {
            Some(head) => self.at_chunk(*head, left, seen),
            None => Step::Need(HEAD_BYTES),
        }
    }

    fn is_metadata(&self, rest: &[u8]) -> bool {
        rest.starts_with(b"EXIF")
    }
}

impl WebPWalk {
    fn begin(&mut self, seen: &[u8]) -> Step {
        let Some(beginning) = seen.first_chunk::<12>() else { return Step::Need(12) };
        let told_bytes = u32::from_le_bytes([beginning[4], beginning[5], beginning[6], beginning[7]]);
        match u64::from(told_bytes).checked_sub(4) {
            Some(left) if left >= HEAD_BYTES as u64 => {
                self.left = Some(left);
                Step::keep(BEGINNING_BYTES)
            }
            _ => Step::Broken,
        }
    }

    fn at_chunk(&mut self, head: [u8; HEAD_BYTES], left: u64, seen: &[u8]) -> Step {
        let [n, a, m, e, sizes @ ..] = head;
        let (name, content_bytes) = ([n, a, m, e], u64::from(u32::from_le_bytes(sizes)));
        // Chunks are padded to an even length; none goes beyond the end that was told.
        let bytes = (HEAD_BYTES as u64 + content_bytes.next_multiple_of(2)).min(left);
        let step = match &name {
            b"VP8X" => without_xmp_flag(bytes, seen),
            b"EXIF" => orientation_alone(bytes, seen),
            name if KEPT.contains(&name) => Step::keep(bytes),
            _ => {
                let by = [PADDING.as_slice(), &sizes].concat();
                let rest = bytes - HEAD_BYTES as u64;
                Step::Replace { seen: HEAD_BYTES, by, removed_bytes: 0, then: (Fate::Blank, rest) }
            }
        };
        if !matches!(step, Step::Need(_)) {
            self.left = Some(left - bytes);
        }
        step
    }
}

fn without_xmp_flag(bytes: u64, seen: &[u8]) -> Step {
    let needed = FLAGS_AT + 1;
    if bytes < needed as u64 {
        return Step::keep(bytes);
    }
    let Some(head) = seen.get(..needed) else { return Step::Need(needed) };
    let mut by = head.to_vec();
    by[FLAGS_AT] &= !XMP_FLAG;
    Step::Replace { seen: needed, by, removed_bytes: 0, then: (Fate::Keep, bytes - needed as u64) }
}

fn orientation_alone(bytes: u64, seen: &[u8]) -> Step {
    let needed = usize::try_from(bytes).unwrap_or(usize::MAX).min(HEAD_BYTES + exif::MOST_BYTES);
    let rest = bytes - needed as u64;
    let Some(head) = seen.get(..needed) else { return Step::Need(needed) };
    let (head, content) = head.split_at(HEAD_BYTES);
    let mut by = head.to_vec();
    if content.len() >= exif::MINIMAL_BYTES {
        by.extend(exif::minimal(exif::orientation(content)));
    }
    by.resize(needed, 0);
    Step::Replace { seen: needed, by, removed_bytes: content.len() as u64, then: (Fate::Blank, rest) }
}
