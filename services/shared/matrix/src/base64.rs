//! Base64 as Matrix writes it: the standard alphabet, no padding; padding is tolerated.
//!
//! Left-over bits of the last character are tolerated too: the seed in the specification's
//! own test vectors has some.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(crate) fn encode(bytes: &[u8]) -> String {
    TOLERANT.encode(bytes)
}

/// Exactly `N` bytes, or nothing.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    TOLERANT.decode(text).ok()?.try_into().ok()
}

/// However many bytes there are.
pub(crate) fn decode_all(text: &str) -> Option<Vec<u8>> {
    TOLERANT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_tolerated_and_never_written() {
        assert_eq!(decode::<4>("+/+/+w"), Some([0xfb, 0xff, 0xbf, 0xfb]));
        assert_eq!(decode::<4>("+/+/+w=="), Some([0xfb, 0xff, 0xbf, 0xfb]));
        assert_eq!(encode(&[0xfb, 0xff, 0xbf, 0xfb]), "+/+/+w");
    }

    #[test]
    fn another_alphabet_or_length_is_refused() {
        assert_eq!(decode::<4>("-_-_-w"), None);
        assert_eq!(decode::<3>("+/+/+w"), None);
    }
}
