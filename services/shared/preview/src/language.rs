//! The languages that a user would like, best first.

/// Languages of an `Accept-Language`. None: all are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Languages(Vec<String>);

/// How well a text fits; less is better. What is in no language comes after what is in a wanted
/// one, and before what is in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit(usize);

/// More are not looked at.
const MOST: usize = 16;
const MOST_TOLD: usize = 3;
const LONGEST: usize = 35;

impl Languages {
    /// Reads an `Accept-Language`; what is no language in it is left out.
    pub fn parse(header: &str) -> Self {
        let mut wanted: Vec<(u16, String)> = header.split(',').take(MOST).filter_map(read_one).collect();
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        Self(wanted.into_iter().map(|(_, language)| language).collect())
    }

    /// As a header that tells little of who asks: the best three. Empty if there is none.
    pub fn to_header(&self) -> String {
        self.0.iter().take(MOST_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// `language` is a tag as in `lang` (`de-CH`) or in `og:locale` (`de_CH`).
    pub(crate) fn fit(&self, language: Option<&str>) -> Fit {
        let Some(language) = language.map(str::trim).filter(|language| !language.is_empty()) else {
            return Fit(self.0.len());
        };
        let place = self.0.iter().position(|wanted| is_within(language, wanted) || is_within(wanted, language));
        Fit(place.unwrap_or(self.0.len() + usize::from(!self.0.is_empty())))
    }
}

/// `de-CH` is within `de`.
fn is_within(inner: &str, outer: &str) -> bool {
    let Some((begin, rest)) = inner.split_at_checked(outer.len()) else { return false };
    let alike = begin.bytes().zip(outer.bytes()).all(|(a, b)| fold(a) == fold(b));
    alike && (rest.is_empty() || rest.starts_with(['-', '_']))
}

fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// The weight in thousandths, and the language.
fn read_one(item: &str) -> Option<(u16, String)> {
    let mut parts = item.split(';').map(str::trim);
    let language = parts.next()?;
    let is_tag = language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if language.is_empty() || language.len() > LONGEST || !is_tag {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
    (weight > 0).then(|| (weight, language.to_owned()))
}

/// Of a number from 0 to 1 with at most three digits after the point.
fn thousandths(number: &str) -> u16 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole != "0" {
        return 1000;
    }
    let digits = format!("{fraction:0<3}");
    digits.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_language_is_first() {
        for (header, languages) in [
            ("de-CH, fr;q=0.9, en;q=0.95, *;q=0.5", vec!["de-CH", "en", "fr"]),
            ("en;q=0, de;q=0.001", vec!["de"]),
            ("", vec![]),
            ("<script>, ä, en", vec!["en"]),
            ("a;q=0.5, b;q=x, c;q=0.äää", vec!["b", "a"]),
        ] {
            assert_eq!(Languages::parse(header).0, languages, "{header}");
        }
    }

    #[test]
    fn a_text_in_a_wanted_language_fits_before_one_in_none_and_that_before_one_in_another() {
        let wanted = Languages::parse("de-CH, en");
        let ordered = ["de_CH", "en-GB", "", "fr"].map(|language| wanted.fit(Some(language)));

        assert!(ordered.is_sorted_by(|a, b| a < b), "{ordered:?}");
        assert_eq!(wanted.fit(Some("de")), wanted.fit(Some("de-CH")));
        assert_ne!(wanted.fit(Some("den")), wanted.fit(Some("de")));
        assert_eq!(wanted.fit(None), wanted.fit(Some(" ")));
    }

    #[test]
    fn to_whom_all_are_alike_everything_fits_alike() {
        let any = Languages::default();

        assert_eq!(any.fit(Some("fr")), any.fit(None));
    }
}
