//! What a client says that it takes (RFC 9110, 12.5.1).

/// Whether `Accept` headers name a media type, and not only a range that it is in: `image/*` is
/// said by many who mean the formats that they have always known.
pub fn names_media_type<'a>(mut accept: impl Iterator<Item = &'a str>, media_type: &str) -> bool {
    accept.any(|header| header.split(',').any(|range| is_named(range, media_type)))
}

fn is_named(range: &str, media_type: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_it = parts.next().is_some_and(|named| named.eq_ignore_ascii_case(media_type));
    is_it && parts.find_map(weight).is_none_or(|weight| weight > 0.0)
}

/// The value of `q`; what cannot be read counts as not wanted.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_a_type_and_wants_it_takes_it() {
        for (accept, names) in [
            (&["image/avif,image/webp,*/*;q=0.8"][..], true),
            (&["text/html", "IMAGE/WebP ; q=0.001"], true),
            (&["image/webp;level=1;Q=1"], true),
            (&["image/webp;q=0"], false),
            (&["image/webp;q=0.0, image/png"], false),
            (&["image/webp;q=x"], false),
            (&["image/*", "*/*", "image/webpx", "image/web", "text/image/webp", ";", ""], false),
            (&[], false),
        ] {
            assert_eq!(names_media_type(accept.iter().copied(), "image/webp"), names, "{accept:?}");
        }
    }
}
