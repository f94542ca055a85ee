//! What a site has packed by gzip, unpacked piece by piece.
//!
//! Nobody unpacks more than is asked for: a bomb costs as much as the page that is read of it.

use std::io::{self, BufRead, ErrorKind, Read};

use bytes::{Buf, Bytes, BytesMut};
use flate2::bufread::GzDecoder;

/// What is unpacked at once.
const PIECE: usize = 32 << 10;
/// Packing makes nothing much longer. So many bytes more than twice what they unpack to are
/// a way to keep us busy.
const MOST_FOR_NOTHING: u64 = 64 << 10;

/// Unpacks one answer.
#[derive(Debug)]
pub(crate) struct Unpacker {
    decoder: GzDecoder<Packed>,
    unpacked_bytes: u64,
}

/// What unpacking comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// The next bytes, not empty.
    Piece(Bytes),
    /// More is needed first.
    Hungry,
    /// That was all. What follows counts as little as it does for browsers.
    Over,
}

/// What has arrived and is not unpacked yet.
#[derive(Debug, Default)]
struct Packed {
    bytes: Bytes,
    arrived_bytes: u64,
    is_over: bool,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { decoder: GzDecoder::new(Packed::default()), unpacked_bytes: 0 }
    }
}

impl Unpacker {
    /// The next bytes that came; only after [`Unpacked::Hungry`].
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        let packed = self.decoder.get_mut();
        debug_assert!(packed.bytes.is_empty(), "nothing is thrown away");
        packed.arrived_bytes += bytes.len() as u64;
        packed.bytes = bytes;
    }

    /// No more will come.
    pub(crate) fn finish(&mut self) {
        self.decoder.get_mut().is_over = true;
    }

    /// Unpacks some more.
    pub(crate) fn next(&mut self) -> Result<Unpacked, String> {
        let mut piece = BytesMut::zeroed(PIECE);
        match self.decoder.read(&mut piece) {
            Ok(0) => Ok(Unpacked::Over),
            Ok(count) => {
                self.unpacked_bytes += count as u64;
                piece.truncate(count);
                Ok(Unpacked::Piece(piece.freeze()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.check_yield().map(|()| Unpacked::Hungry),
            Err(error) => Err(format!("the answer is not packed as it should be: {error}")),
        }
    }

    fn check_yield(&self) -> Result<(), String> {
        let most = self.unpacked_bytes.saturating_mul(2).saturating_add(MOST_FOR_NOTHING);
        let is_fine = self.decoder.get_ref().arrived_bytes <= most;
        if is_fine { Ok(()) } else { Err("the answer is packed to be longer than it is".to_owned()) }
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(buffer.len());
        self.bytes.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl BufRead for Packed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.is_over {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder, write::GzEncoder};

    use super::*;

    fn pack(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().filename("page.html").write(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// All that comes out, or why it does not; in pieces of `piece` bytes.
    fn unpack(packed: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let (mut unpacker, mut chunks, mut all) = (Unpacker::default(), packed.chunks(piece), Vec::new());
        loop {
            match unpacker.next()? {
                Unpacked::Piece(bytes) => all.extend_from_slice(&bytes),
                Unpacked::Over => return Ok(all),
                Unpacked::Hungry => match chunks.next() {
                    Some(chunk) => unpacker.feed(Bytes::copy_from_slice(chunk)),
                    None => unpacker.finish(),
                },
            }
        }
    }

    #[test]
    fn a_page_unpacks_to_itself_however_it_comes() {
        let page: Vec<u8> = (0..100_000_u32).flat_map(|number| number.wrapping_mul(number).to_le_bytes()).collect();
        let packed = pack(&page);

        for piece in [1, 2, 1000, usize::MAX] {
            assert!(unpack(&packed, piece).unwrap() == page, "{piece}");
        }
        assert_eq!(unpack(&pack(b""), 1).unwrap(), b"");
        assert_eq!(unpack(&[pack(b"page"), b"what follows".to_vec()].concat(), 3).unwrap(), b"page");
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error_after_what_was_good() {
        let packed = pack(b"a page of some words");
        let damaged: Vec<u8> =
            packed.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == packed.len() - 5)).collect();

        for wrong in [&packed[..packed.len() - 9], &packed[..5], b"<html>", b"", &damaged] {
            assert!(unpack(wrong, 1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_bomb_gives_as_much_at_once_as_anything_else() {
        let mut unpacker = Unpacker::default();
        unpacker.feed(pack(&vec![0; 64 << 20]).into());

        for _ in 0..100 {
            assert!(matches!(unpacker.next(), Ok(Unpacked::Piece(piece)) if piece.len() <= PIECE));
        }
    }

    #[test]
    fn what_unpacks_to_nothing_ends_soon() {
        // Blocks of deflate that hold nothing, without end.
        let head = pack(b"")[..10 + b"page.html\0".len()].to_vec();
        let empty = [head, b"\0\0\0\xff\xff".repeat(1 << 20)].concat();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();

        assert_eq!(unpack(&empty, 1 << 10).unwrap_err(), "the answer is packed to be longer than it is");
        assert_eq!(unpack(&encoder.finish().unwrap(), 1 << 10).unwrap().len(), 1 << 20);
    }
}
