//! What is learned of bytes on their way into the store.

use heliograph_types::ContentType;
use sha2::{Digest, Sha256};

/// Types are told by so many bytes at the beginning.
const SNIFFED_BYTES: usize = 8 << 10;

/// Watches the bytes of one blob pass: counts, hashes, keeps the beginning.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    size_bytes: u64,
    hasher: Sha256,
    beginning: Vec<u8>,
}

/// What was learned of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How many bytes there were.
    pub size_bytes: u64,
    /// Their digest.
    pub sha256: [u8; 32],
    /// What the first bytes say that it is, if they say anything.
    pub sniffed_type: Option<ContentType>,
}

impl Observer {
    /// The next piece has passed.
    pub fn observe(&mut self, piece: &[u8]) {
        self.size_bytes += piece.len() as u64;
        self.hasher.update(piece);
        let missing = SNIFFED_BYTES.saturating_sub(self.beginning.len()).min(piece.len());
        self.beginning.extend_from_slice(&piece[..missing]);
    }

    /// How many bytes have passed so far.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// All of it has passed.
    pub fn finish(self) -> Observed {
        let sniffed_type = infer::get(&self.beginning).and_then(|kind| kind.mime_type().parse().ok());
        Observed { size_bytes: self.size_bytes, sha256: self.hasher.finalize().into(), sniffed_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference() {
        let file = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![7; 20_000]].concat();
        let mut whole = Observer::default();
        whole.observe(&file);
        let mut bytewise = Observer::default();
        file.chunks(1).for_each(|byte| bytewise.observe(byte));

        let (whole, bytewise) = (whole.finish(), bytewise.finish());

        assert_eq!(whole, bytewise);
        assert_eq!(whole.size_bytes, 20_008);
        assert_eq!(whole.sniffed_type.as_ref().map(ContentType::as_str), Some("image/png"));
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let observed = Observer::default().finish();

        assert_eq!((observed.size_bytes, observed.sniffed_type), (0, None));
        assert_eq!(observed.sha256[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
