//! The bytes of a page on their way to the tokenizer: counted, and made UTF-8.

use std::{cell::Cell, convert::Infallible, io::Read};

use encoding_rs::{Decoder, Encoding};
use html5gum::{Readable, Reader};

use crate::charset;

const BLOCK: usize = 8 << 10;
/// What is looked at before the encoding of what is not ASCII is decided.
const LOOK: usize = 4 << 10;
/// Escape: with it begins what is not ASCII in ISO-2022-JP.
const ESCAPE: u8 = 0x1b;

/// Text of a page, piece by piece. An error of the source is its end: what came before counts.
pub(crate) struct Source<'a, R> {
    bytes: R,
    budget: usize,
    read: usize,
    ended: bool,
    raw: Vec<u8>,
    text: String,
    at: usize,
    encoding: State,
    hints: Hints<'a>,
}

/// What helps to find the encoding.
pub(crate) struct Hints<'a> {
    /// Of the header.
    pub(crate) told: Option<&'static Encoding>,
    /// Of a `<meta>` that the tokenizer has met.
    pub(crate) met: &'a Cell<Option<&'static Encoding>>,
    /// The last part of the host's name.
    pub(crate) domain: Option<&'a str>,
}

enum State {
    Start,
    /// Nothing but ASCII so far: the same in every encoding that it can be.
    Ascii,
    Decoding(Decoder),
}

impl<'a, R: Read> Source<'a, R> {
    /// Reads at most `budget` bytes.
    pub(crate) fn new(bytes: R, budget: usize, hints: Hints<'a>) -> Self {
        let (raw, text) = (Vec::new(), String::new());
        Self { bytes, budget, read: 0, ended: false, raw, text, at: 0, encoding: State::Start, hints }
    }

    /// Makes sure of `count` bytes of text, unless there are no more.
    fn ensure(&mut self, count: usize) {
        while self.text.len() - self.at < count && self.fill() {}
    }

    /// Adds some text; false at the end.
    fn fill(&mut self) -> bool {
        self.text.drain(..self.at);
        self.at = 0;
        let before = self.text.len();
        while self.text.len() == before {
            if self.raw.is_empty() && !self.read_some() {
                return self.finish(before);
            }
            self.decode();
        }
        true
    }

    fn read_some(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let room = BLOCK.min(self.budget.saturating_sub(self.read));
        let held = self.raw.len();
        self.raw.resize(held + room, 0);
        let count = loop {
            match self.bytes.read(&mut self.raw[held..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result.unwrap_or(0),
            }
        };
        self.raw.truncate(held + count);
        self.read += count;
        self.ended |= count == 0;
        count > 0
    }

    /// Until so many bytes are there to look at, or all.
    fn read_until(&mut self, count: usize) {
        while self.raw.len() < count && self.read_some() {}
    }

    fn decode(&mut self) {
        match &mut self.encoding {
            State::Start => self.start(),
            State::Ascii => self.pass_ascii(),
            State::Decoding(decoder) => {
                self.text.reserve(decoder.max_utf8_buffer_length(self.raw.len()).unwrap_or(3 * BLOCK));
                let (_, read, _) = decoder.decode_to_string(&self.raw, &mut self.text, false);
                self.raw.drain(..read);
            }
        }
    }

    fn start(&mut self) {
        self.read_until(LOOK / 4);
        let marked = Encoding::for_bom(&self.raw).map(|(encoding, _)| encoding);
        let known = marked.or(self.hints.told).or_else(|| charset::of_declaration(&self.raw));
        self.encoding = known.map_or(State::Ascii, |encoding| State::Decoding(encoding.new_decoder()));
    }

    fn pass_ascii(&mut self) {
        let ascii = Encoding::ascii_valid_up_to(&self.raw);
        let ascii = self.raw[..ascii].iter().position(|byte| *byte == ESCAPE).unwrap_or(ascii);
        if ascii == 0 {
            let encoding = self.look();
            self.encoding = State::Decoding(encoding.new_decoder_without_bom_handling());
            return;
        }
        self.text.extend(self.raw.drain(..ascii).map(char::from));
    }

    /// Decides the encoding of what begins here, by as many bytes however they come.
    fn look(&mut self) -> &'static Encoding {
        self.read_until(LOOK);
        let (is_all, seen) = (self.raw.len() < LOOK, &self.raw[..self.raw.len().min(LOOK)]);
        let named = self.hints.met.get().or_else(|| charset::within(seen));
        named.unwrap_or_else(|| charset::guess(seen, is_all, self.hints.domain))
    }

    /// What the decoder still held back.
    fn finish(&mut self, before: usize) -> bool {
        let ended = std::mem::replace(&mut self.encoding, State::Ascii);
        if let State::Decoding(mut decoder) = ended {
            self.text.reserve(decoder.max_utf8_buffer_length(0).unwrap_or(BLOCK));
            let _ = decoder.decode_to_string(&[], &mut self.text, true);
        }
        self.text.len() > before
    }
}

impl<R: Read> Reader for Source<'_, R> {
    type Error = Infallible;

    fn read_byte(&mut self) -> Result<Option<u8>, Infallible> {
        self.ensure(1);
        let byte = self.text.as_bytes().get(self.at).copied();
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    fn try_read_string(&mut self, wanted: &[u8], case_sensitive: bool) -> Result<bool, Infallible> {
        self.ensure(wanted.len());
        let Some(next) = self.text.as_bytes().get(self.at..self.at + wanted.len()) else { return Ok(false) };
        let is_it = if case_sensitive { next == wanted } else { next.eq_ignore_ascii_case(wanted) };
        self.at += if is_it { wanted.len() } else { 0 };
        Ok(is_it)
    }

    fn read_until<'b>(&'b mut self, needle: &[u8], buffer: &'b mut [u8; 4]) -> Result<Option<&'b [u8]>, Infallible> {
        self.ensure(1);
        let rest = &self.text.as_bytes()[self.at..];
        let found = rest.to_reader().read_until(needle, buffer)?.map(<[u8]>::len);
        self.at += found.unwrap_or(0);
        Ok(found.map(|count| &rest[..count]))
    }
}
