//! The orientation in EXIF, and nothing else of it.

const ORIENTATION: u32 = 0x0112;
const SHORT: u32 = 3;
const LONG: u32 = 4;
const ENTRY_BYTES: usize = 12;

/// The orientation in a TIFF structure (the content of an EXIF segment): 1 to 8.
pub fn find_orientation(tiff: &[u8]) -> Option<u8> {
    let little_endian = match tiff.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let number = |at: usize, bytes: usize| {
        let digits = tiff.get(at..at.checked_add(bytes)?)?;
        let append = |sum: u32, digit: &u8| sum << 8 | u32::from(*digit);
        Some(if little_endian { digits.iter().rev().fold(0, append) } else { digits.iter().fold(0, append) })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let entry_count = number(directory, 2)? as usize;
    let entry = (0..entry_count)
        .map(|index| directory + 2 + index * ENTRY_BYTES)
        .take_while(|entry| entry + ENTRY_BYTES <= tiff.len())
        .find(|entry| number(*entry, 2) == Some(ORIENTATION))?;
    let value = match number(entry + 2, 2)? {
        SHORT => number(entry + 8, 2)?,
        LONG => number(entry + 8, 4)?,
        _ => return None,
    };
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiff(little_endian: bool, kind: u16, value: u32) -> Vec<u8> {
        let short = |value: u16| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut tiff = if little_endian { b"II\x2a\0".to_vec() } else { b"MM\0\x2a".to_vec() };
        tiff.extend(long(8));
        tiff.extend(short(2));
        for tag in [0x010f, 0x0112] {
            tiff.extend(short(tag));
            tiff.extend(short(kind));
            tiff.extend(long(1));
            match kind {
                3 => tiff.extend([short(u16::try_from(value).unwrap()), [0; 2]].as_flattened()),
                _ => tiff.extend(long(value)),
            }
        }
        tiff.extend(long(0));
        tiff
    }

    #[test]
    fn the_orientation_is_found_in_both_byte_orders_and_types() {
        for (little_endian, kind, value) in [(true, 3, 6), (false, 3, 8), (true, 4, 1), (false, 4, 5)] {
            assert_eq!(find_orientation(&tiff(little_endian, kind, value)), u8::try_from(value).ok());
        }
    }

    #[test]
    fn what_is_no_orientation_is_none() {
        for (kind, value) in [(3, 0), (3, 9), (4, 0x0001_0006), (7, 6)] {
            assert_eq!(find_orientation(&tiff(true, kind, value)), None);
        }
        let whole = tiff(true, 3, 6);
        for length in 0..whole.len() - 4 {
            assert_eq!(find_orientation(&whole[..length]), None, "cut after {length}");
        }
        assert_eq!(find_orientation(b"II\x2a\0\xff\xff\xff\xff"), None);
    }
}
