//! What is sent, and how it is recognised.

use std::sync::LazyLock;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{jpeg, noise};

const PICTURES: u16 = 8;
/// Most files are small; one of so many is not.
const LARGER_OF: u32 = 12;
const LARGEST_OF: u32 = 250;
const SMALL: usize = 128 << 10;
const LARGER: usize = 5 << 20;

/// By which all bytes of a content are compared.
pub(super) type Digest = [u8; 32];

/// The digest of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Bytes to be sent.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    pub(super) is_picture: bool,
}

impl Content {
    /// Bytes that were never there before, from one byte up to `largest`, mostly small.
    pub(super) fn random(largest: usize) -> Self {
        let below = |largest: usize, limit: usize| length_below(limit.min(largest));
        let length = match rand::random_range(0..LARGEST_OF) {
            0 => largest,
            place if place % LARGER_OF == 1 => below(largest, LARGER),
            _ => below(largest, SMALL),
        };
        Self::of(noise(length, rand::random()), false)
    }

    /// A picture that was never there before: what comes after its end is nobody's business.
    pub(super) fn picture() -> Self {
        static PLAIN: LazyLock<Vec<Vec<u8>>> =
            LazyLock::new(|| (0..PICTURES).map(|place| jpeg(400 + 40 * place, 300 + 50 * place)).collect());
        let plain = &PLAIN[rand::random_range(0..PLAIN.len())];
        Self::of([plain.as_slice(), &rand::random::<[u8; 16]>()].concat(), true)
    }

    /// A copy of these bytes.
    pub(super) fn of(bytes: Vec<u8>, is_picture: bool) -> Self {
        let digest = digest(&bytes);
        Self { bytes: bytes.into(), digest, is_picture }
    }
}

/// As many below a tenth of the limit as above it, and so on.
fn length_below(limit: usize) -> usize {
    let magnitude = usize::BITS - limit.leading_zeros();
    let cap = 1_usize << rand::random_range(0..=magnitude);
    rand::random_range(1..=cap.min(limit))
}
