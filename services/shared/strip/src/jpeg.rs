//! The walk through a JPEG (ITU T.81): segments, and coded data between them.

use memchr::memchr;

use crate::{
    exif,
    walk::{Fate, Step, Walk},
};

const RESTART_AND_START: std::ops::RangeInclusive<u8> = 0xd0..=0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COMMENT: u8 = 0xfe;
/// Below this no marker begins a segment; after `0xff` these are coded data.
const FIRST_MARKER: u8 = 0xc0;
/// JFIF's segment without its thumbnail; the thumbnail's size is at the end.
const JFIF_BYTES: usize = 18;

/// The walk through a JPEG.
#[derive(Debug, Default)]
pub(crate) struct JpegWalk {
    has_scan: bool,
    has_ended: bool,
    has_exif: bool,
}

impl Walk for JpegWalk {
    fn step(&mut self, seen: &[u8]) -> Step {
        if self.has_ended {
            return Step::DROP_THE_REST;
        }
        match data_before_marker(seen) {
            0 => self.at_marker(seen),
            bytes => Step::keep(bytes as u64),
        }
    }

    fn is_metadata(&self, rest: &[u8]) -> bool {
        matches!(rest, [0xff, APP0..=APP15 | COMMENT, ..])
    }
}

/// Bytes that no marker with a meaning is among: coded data, and fill before a marker. What
/// may be the first half of a marker is not among them.
fn data_before_marker(seen: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr(0xff, &seen[at..]) {
        at += found;
        match seen.get(at + 1) {
            Some(0xff) => at += 1,
            Some(second) if *second < FIRST_MARKER || RESTART_AND_START.contains(second) => at += 2,
            _ => return at,
        }
    }
    seen.len()
}

impl JpegWalk {
    fn at_marker(&mut self, seen: &[u8]) -> Step {
        match seen {
            [_, END, ..] if self.has_scan => {
                self.has_ended = true;
                Step::keep(2)
            }
            // No picture has ended here that anybody could see.
            [_, END, ..] => Step::Broken,
            [_, marker, high, low, ..] => match u16::from_be_bytes([*high, *low]) {
                0 | 1 => Step::Broken,
                length => self.at_segment(*marker, 2 + usize::from(length), seen),
            },
            _ => Step::Need(seen.len() + 1),
        }
    }

    fn at_segment(&mut self, marker: u8, bytes: usize, seen: &[u8]) -> Step {
        match marker {
            COMMENT => Step::Span(Fate::Drop, bytes as u64),
            APP0..=APP15 => match seen.get(..bytes) {
                Some(segment) => self.at_application(marker, segment),
                None => Step::Need(bytes),
            },
            _ => {
                self.has_scan |= marker == SCAN;
                Step::keep(bytes as u64)
            }
        }
    }

    fn at_application(&mut self, marker: u8, segment: &[u8]) -> Step {
        let (bytes, content) = (segment.len() as u64, &segment[4..]);
        match marker {
            APP0 if content.starts_with(b"JFIF\0") => without_thumbnail(segment),
            APP1 if content.starts_with(exif::PREFIX) && !self.has_exif => {
                self.has_exif = true;
                orientation_alone(segment)
            }
            APP2 if content.starts_with(b"ICC_PROFILE\0") => Step::keep(bytes),
            APP14 if content.starts_with(b"Adobe") => Step::keep(bytes),
            _ => Step::Span(Fate::Drop, bytes),
        }
    }
}

fn without_thumbnail(segment: &[u8]) -> Step {
    match segment.get(..JFIF_BYTES) {
        Some(head) if segment.len() > JFIF_BYTES => {
            let by = [&[0xff, APP0, 0, 16], &head[4..JFIF_BYTES - 2], &[0, 0]].concat();
            replace(segment, by)
        }
        _ => Step::keep(segment.len() as u64),
    }
}

fn orientation_alone(segment: &[u8]) -> Step {
    match exif::orientation(&segment[4..]) {
        exif::UPRIGHT => Step::Span(Fate::Drop, segment.len() as u64),
        orientation => {
            let tiff = exif::minimal(orientation);
            replace(segment, [&[0xff, APP1, 0, 34], exif::PREFIX, &tiff].concat())
        }
    }
}

fn replace(segment: &[u8], by: Vec<u8>) -> Step {
    let removed_bytes = segment.len().saturating_sub(by.len()) as u64;
    Step::Replace { seen: segment.len(), by, removed_bytes, then: (Fate::Keep, 0) }
}
