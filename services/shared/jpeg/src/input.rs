//! The file, as it comes: markers, segments, and coded bytes between them.

use std::io::{self, BufRead};

use crate::error::Error;

/// What begins each marker.
const PREFIX: u8 = 0xff;

/// A file that is read once, front to back.
pub(crate) struct Input<R> {
    /// Found behind coded bytes, not yet asked for.
    marker: Option<u8>,
    ended: bool,
    /// Bytes that were used.
    used: u64,
    reader: R,
}

impl<R: BufRead> Input<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { marker: None, ended: false, used: 0, reader }
    }
}

impl<R: BufRead> Input<R> {
    /// Whether the next bytes are these, which are used.
    pub(crate) fn begins_with(&mut self, bytes: [u8; 2]) -> io::Result<bool> {
        Ok(self.byte()? == Some(bytes[0]) && self.byte()? == Some(bytes[1]))
    }

    /// What is at hand; nothing at the end.
    fn chunk(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Asked again, as the borrow checker does not let go of the first answer.
                Ok(_) => return self.reader.fill_buf(),
                Err(error) => return Err(error),
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes as u64;
        self.reader.consume(bytes);
    }

    /// How many bytes were used.
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.chunk()?.first().copied();
        match byte {
            Some(_) => self.consume(1),
            None => self.ended = true,
        }
        Ok(byte)
    }

    /// The next marker, wherever it is.
    pub(crate) fn next_marker(&mut self) -> io::Result<Option<u8>> {
        while self.marker.is_none() && !self.ended {
            self.skip_to_prefix()?;
            self.marker_or_stuffing()?;
        }
        Ok(self.marker.take())
    }

    /// Gives a marker back that was not for the caller.
    pub(crate) const fn put_back(&mut self, marker: u8) {
        self.marker = Some(marker);
    }

    /// Skips up to and including the first byte of what may be a marker.
    fn skip_to_prefix(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.chunk()?;
            let (skipped, found) = match memchr::memchr(PREFIX, chunk) {
                Some(at) => (at + 1, true),
                None => (chunk.len(), false),
            };
            self.consume(skipped);
            if skipped == 0 {
                self.ended = true;
            }
            if found || self.ended {
                return Ok(());
            }
        }
    }

    /// What follows a prefix: true if it was a coded byte, else the marker is remembered.
    fn marker_or_stuffing(&mut self) -> io::Result<bool> {
        loop {
            match self.byte()? {
                Some(PREFIX) => {}
                Some(0) => return Ok(true),
                marker => {
                    self.marker = marker;
                    return Ok(false);
                }
            }
        }
    }

    /// The content of a segment whose marker was just read.
    pub(crate) fn segment(&mut self) -> Result<Vec<u8>, Error> {
        let (Some(high), Some(low)) = (self.byte()?, self.byte()?) else { return Err(Error::CutOff) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut missing = length.checked_sub(2).ok_or(Error::Malformed("length of a segment"))?;
        let mut content = Vec::with_capacity(missing);
        while missing > 0 {
            let chunk = self.chunk()?;
            let taken = &chunk[..missing.min(chunk.len())];
            let count = taken.len();
            content.extend_from_slice(taken);
            self.consume(count);
            if count == 0 {
                self.ended = true;
                return Err(Error::CutOff);
            }
            missing -= count;
        }
        Ok(content)
    }

    /// Appends coded bytes, without what was stuffed between them, until there are `most` of
    /// them or a marker or the end is reached; answers whether more may follow.
    pub(crate) fn take_coded(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        while into.len() < most && self.marker.is_none() && !self.ended {
            let room = most - into.len();
            let chunk = self.chunk()?;
            let (taken, prefix) = unstuff(&chunk[..chunk.len().min(room)], into);
            self.consume(taken);
            if prefix {
                if self.marker_or_stuffing()? {
                    into.push(PREFIX);
                }
            } else if taken == 0 {
                self.ended = true;
            }
        }
        Ok(self.marker.is_none() && !self.ended)
    }
}

/// Appends coded bytes up to a prefix that may be that of a marker; answers how many bytes
/// were used, and whether such a prefix is the last of them.
fn unstuff(chunk: &[u8], into: &mut Vec<u8>) -> (usize, bool) {
    let mut at = 0;
    while let Some(distance) = memchr::memchr(PREFIX, &chunk[at..]) {
        let prefix = at + distance;
        if chunk.get(prefix + 1) != Some(&0) {
            into.extend_from_slice(&chunk[at..prefix]);
            return (prefix + 1, true);
        }
        into.extend_from_slice(&chunk[at..=prefix]);
        at = prefix + 2;
    }
    into.extend_from_slice(&chunk[at..]);
    (chunk.len(), false)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn coded(file: &[u8], chunk: usize) -> (Vec<u8>, Option<u8>) {
        let mut input = Input::new(BufReader::with_capacity(chunk, file));
        let mut bytes = Vec::new();
        while input.take_coded(&mut bytes, 1 << 20).unwrap() {}
        (bytes, input.next_marker().unwrap())
    }

    #[test]
    fn coded_bytes_are_the_same_however_they_arrive() {
        let file = b"ab\xff\0\xff\0c\xff\xff\0d\xff\xff\xff\xd9rest";
        for chunk in 1..=file.len() {
            assert_eq!(coded(file, chunk), (b"ab\xff\xffc\xffd".to_vec(), Some(0xd9)), "chunks of {chunk}");
        }
    }

    #[test]
    fn coded_bytes_end_with_the_file() {
        for file in [&b"ab"[..], b"ab\xff", b"ab\xff\xff"] {
            assert_eq!(coded(file, 1), (b"ab".to_vec(), None));
        }
    }

    #[test]
    fn a_segment_is_taken_whole_or_not_at_all() {
        let mut input = Input::new(&b"\0\x05abcd"[..]);
        assert_eq!(input.segment().unwrap(), b"abc");

        assert!(matches!(Input::new(&b"\0\x09abcd"[..]).segment(), Err(Error::CutOff)));
        assert!(matches!(Input::new(&b"\0\x01abcd"[..]).segment(), Err(Error::Malformed(_))));
    }

    #[test]
    fn markers_are_found_among_other_bytes() {
        let mut input = Input::new(&b"\xff\0xx\xff\xff\xdayy\xff\xd0"[..]);

        assert_eq!((input.next_marker().unwrap(), input.used()), (Some(0xda), 7));
        assert_eq!(input.next_marker().unwrap(), Some(0xd0));
        assert_eq!(input.next_marker().unwrap(), None);
    }
}
