//! A file that is read front to back, of which no more than a window need be in memory.

use std::io::{self, BufRead, Read};

use crate::source::Source;

/// How much is at hand at once, and how far apart the places are at which what was read is let go.
const WINDOW_BYTES: usize = 256 << 10;

/// Reads a file, and lets go of what was read.
pub(super) struct Windows<'f> {
    file: &'f dyn Source,
    at: usize,
}

impl<'f> Windows<'f> {
    pub(super) fn new(file: &'f dyn Source) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Windows<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let window = self.fill_buf()?;
        let count = window.len().min(target.len());
        target[..count].copy_from_slice(&window[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Windows<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = self.file.bytes().get(self.at..).unwrap_or_default();
        // Up to where a window ends, so that each is let go whole.
        let window = WINDOW_BYTES - self.at % WINDOW_BYTES;
        Ok(&rest[..rest.len().min(window)])
    }

    fn consume(&mut self, count: usize) {
        let before = self.at / WINDOW_BYTES;
        self.at += count;
        if self.at / WINDOW_BYTES != before {
            self.file.release_before(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Watched(Vec<u8>, RefCell<Vec<usize>>);

    impl Source for Watched {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn release_before(&self, at: usize) {
            self.1.borrow_mut().push(at);
        }
    }

    #[test]
    fn what_was_read_is_let_go_window_by_window() {
        let bytes: Vec<u8> = (0..WINDOW_BYTES * 2 + 5).map(|index| (index % 251).to_le_bytes()[0]).collect();
        let file = Watched(bytes.clone(), RefCell::default());

        let mut read = Vec::new();
        Windows::new(&file).read_to_end(&mut read).unwrap();

        assert!(read == bytes);
        assert_eq!(file.1.into_inner(), [WINDOW_BYTES, WINDOW_BYTES * 2]);
    }
}
