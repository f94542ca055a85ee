//! Whether a color profile changes anything.

/// Tags that a profile may have; others are not looked at.
const MOST_TAGS: usize = 100;
const TAGS_AT: usize = 128;
const NAME: &[u8] = b"sRGB";

/// Whether a profile is the one that a picture has without any, by what it calls itself. That is the case of
/// most pictures that have one.
pub(super) fn is_srgb(profile: &[u8]) -> bool {
    description(profile).is_some_and(|text| text.starts_with(NAME))
}

/// The description, its first language's if there are several, as far as it is ASCII.
fn description(profile: &[u8]) -> Option<Vec<u8>> {
    let count = number(profile, TAGS_AT)?.min(MOST_TAGS);
    let tags = profile.get(TAGS_AT + 4..)?.as_chunks::<12>().0;
    let tag = tags.iter().take(count).find(|tag| tag.starts_with(b"desc"))?;
    let content = profile.get(number(tag, 4)?..)?;
    match content.first_chunk()? {
        b"desc" => text(content, 12, number(content, 8)?).map(<[u8]>::to_vec),
        b"mluc" => {
            let (length, at) = (number(content, 20)?, number(content, 24)?);
            Some(
                text(content, at, length)?
                    .as_chunks()
                    .0
                    .iter()
                    .map_while(|[high, low]| (*high == 0).then_some(*low))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn text(content: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    content.get(at..at.checked_add(length)?)
}

/// Four bytes.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with one tag before its description.
    fn profile(content: &[u8]) -> Vec<u8> {
        let mut profile = vec![0; TAGS_AT];
        profile.extend(2_u32.to_be_bytes());
        for (name, at, length) in [(b"cprt", 9, 0), (b"desc", 156, content.len())] {
            profile.extend(name);
            profile.extend(u32::try_from(at).unwrap().to_be_bytes());
            profile.extend(u32::try_from(length).unwrap().to_be_bytes());
        }
        profile.extend(content);
        profile
    }

    fn old(text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        profile(&[b"desc\0\0\0\0", &length[..], text].concat())
    }

    fn new(text: &str) -> Vec<u8> {
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        profile(&[b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS", &length[..], &[0, 0, 0, 28], &text].concat())
    }

    #[test]
    fn srgb_is_known_by_its_name_in_old_and_new_profiles() {
        assert!(is_srgb(&old(b"sRGB IEC61966-2.1\0")) && is_srgb(&new("sRGB built-in")));
        assert!(!is_srgb(&old(b"Adobe RGB (1998)\0")) && !is_srgb(&new("Display P3")));
    }

    #[test]
    fn what_is_no_profile_is_not_srgb() {
        let whole = new("sRGB");
        assert!(is_srgb(&whole));
        for length in 0..whole.len() {
            assert!(!is_srgb(&whole[..length]), "{length}");
        }
        let mut far = old(b"sRGB");
        far[152..156].fill(0xff);
        let mut many = new("sRGB");
        many[TAGS_AT..TAGS_AT + 4].fill(0xff);
        assert!(is_srgb(&far) && is_srgb(&many), "the length of a tag and the number of all are only limits");
        far[148..152].fill(0xff);
        assert!(!is_srgb(&far), "behind the end");
    }
}
