//! Does with passing bytes what the walk through their format says.

use bytes::{Bytes, BytesMut};

use crate::{
    Kind, Report,
    jpeg::JpegWalk,
    png::PngWalk,
    walk::{Fate, Step, Walk},
    webp::WebPWalk,
};

static ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// Takes metadata out of one file while it passes. Holds back at most one segment of it
/// besides the piece that it is given.
pub struct Stripper {
    state: State,
    /// What was held back, as more must be seen.
    held: BytesMut,
    /// How much must be seen.
    needed: usize,
    report: Report,
}

enum State {
    /// Too little was seen to tell what it is.
    Unknown(Vec<Kind>),
    Walking(Box<dyn Walk>, (Fate, u64)),
    /// From here on everything stays.
    AsIs,
}

impl Stripper {
    /// For a file of which nothing is known yet. If it turns out to be one of these, it is
    /// stripped, else it passes as it is.
    pub fn new(kinds: &[Kind]) -> Self {
        let state = if kinds.is_empty() { State::AsIs } else { State::Unknown(kinds.to_vec()) };
        let report = Report { kind: None, removed_bytes: 0, is_broken: false };
        Self { state, held: BytesMut::new(), needed: 0, report }
    }

    /// Takes the next piece, and gives what stays of it and of what was held back, in order.
    /// How the file is divided into pieces makes no difference.
    pub fn push(&mut self, piece: Bytes) -> Vec<Bytes> {
        let mut rest = piece;
        if !self.held.is_empty() {
            self.held.extend_from_slice(&rest);
            if self.held.len() < self.needed {
                return Vec::new();
            }
            rest = self.held.split().freeze();
        }
        let mut passed = Vec::new();
        while !rest.is_empty() && self.advance(&mut rest, &mut passed) {}
        // Only what a step needs more of is left.
        self.held.extend_from_slice(&rest);
        passed
    }

    /// The file has ended: gives what is left of it, and tells what was done.
    pub fn finish(mut self) -> (Option<Bytes>, Report) {
        let rest = self.held.split().freeze();
        if let State::Walking(walk, _) = &self.state
            && walk.is_metadata(&rest)
        {
            self.report.removed_bytes += rest.len() as u64;
            return (None, self.report);
        }
        (Some(rest).filter(|rest| !rest.is_empty()), self.report)
    }

    /// Gets on with the rest; false if more must be seen for that.
    fn advance(&mut self, rest: &mut Bytes, passed: &mut Vec<Bytes>) -> bool {
        match &mut self.state {
            State::AsIs => passed.push(std::mem::take(rest)),
            State::Unknown(_) if rest.len() < Kind::SNIFFED_BYTES => {
                self.needed = Kind::SNIFFED_BYTES;
                return false;
            }
            State::Unknown(kinds) => {
                let kind = Kind::sniff(rest).filter(|kind| kinds.contains(kind));
                self.report.kind = kind;
                self.state = kind.map_or(State::AsIs, |kind| State::Walking(walk(kind), (Fate::Keep, 0)));
            }
            State::Walking(walk, (_, 0)) => {
                let step = walk.step(rest);
                return self.take(step, rest, passed);
            }
            State::Walking(_, (fate, left)) => {
                let fate = *fate;
                let bytes = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left -= bytes as u64;
                self.pass(fate, rest.split_to(bytes), passed);
            }
        }
        true
    }

    fn take(&mut self, step: Step, rest: &mut Bytes, passed: &mut Vec<Bytes>) -> bool {
        match step {
            Step::Need(bytes) => {
                self.needed = bytes;
                return false;
            }
            Step::Span(fate, bytes) => self.go_on((fate, bytes)),
            Step::Replace { seen, by, removed_bytes, then } => {
                drop(rest.split_to(seen));
                passed.extend(Some(Bytes::from(by)).filter(|by| !by.is_empty()));
                self.report.removed_bytes += removed_bytes;
                self.go_on(then);
            }
            Step::Broken => {
                self.report.is_broken = true;
                self.state = State::AsIs;
            }
        }
        true
    }

    fn go_on(&mut self, span: (Fate, u64)) {
        if let State::Walking(_, current) = &mut self.state {
            *current = span;
        }
    }

    fn pass(&mut self, fate: Fate, bytes: Bytes, passed: &mut Vec<Bytes>) {
        if fate == Fate::Keep {
            return passed.push(bytes);
        }
        self.report.removed_bytes += bytes.len() as u64;
        if fate == Fate::Blank {
            passed.extend(bytes.chunks(ZEROS.len()).map(|chunk| Bytes::from_static(&ZEROS[..chunk.len()])));
        }
    }
}

impl std::fmt::Debug for Stripper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stripper").field("held", &self.held.len()).field("report", &self.report).finish_non_exhaustive()
    }
}

fn walk(kind: Kind) -> Box<dyn Walk> {
    match kind {
        Kind::Jpeg => Box::<JpegWalk>::default(),
        Kind::Png => Box::<PngWalk>::default(),
        Kind::WebP => Box::<WebPWalk>::default(),
    }
}
