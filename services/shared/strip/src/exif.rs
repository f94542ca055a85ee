//! EXIF that says how a picture is to be turned, and nothing else.

use heliograph_jpeg::find_orientation;

/// EXIF is looked through so far; no JPEG holds more.
pub(crate) const MOST_BYTES: usize = 64 << 10;
/// The length of what [`minimal`] makes.
pub(crate) const MINIMAL_BYTES: usize = 26;
/// What JPEG puts in front of it, and some write into other files as well.
pub(crate) const PREFIX: &[u8] = b"Exif\0\0";
/// As it is.
pub(crate) const UPRIGHT: u8 = 1;

/// How a picture with this EXIF is to be turned, 1 to 8.
pub(crate) fn orientation(exif: &[u8]) -> u8 {
    find_orientation(exif.strip_prefix(PREFIX).unwrap_or(exif)).unwrap_or(UPRIGHT)
}

/// EXIF with this orientation alone.
pub(crate) fn minimal(orientation: u8) -> [u8; MINIMAL_BYTES] {
    // Little-endian; the directory is at 8 and has one entry: 0x0112, one short.
    let mut exif = *b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    exif[18] = orientation;
    exif
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read_again() {
        for number in 1..=8 {
            assert_eq!(orientation(&minimal(number)), number);
            assert_eq!(orientation(&[PREFIX, &minimal(number)].concat()), number);
        }
    }

    #[test]
    fn what_cannot_be_read_is_upright() {
        for exif in [b"".as_slice(), b"Exif\0\0", b"II\x2a\0\xff\xff\xff\xff", &minimal(9)] {
            assert_eq!(orientation(exif), UPRIGHT);
        }
    }
}
