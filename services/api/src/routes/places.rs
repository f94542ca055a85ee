//! Which rows of the table a path belongs to.
//!
//! actix' own router matches a regular expression per path, three times per request: that costs
//! more than all else of a download from memory.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use actix_web::{HttpMessage, HttpRequest};

use super::{Route, table::ROUTES};
use crate::ApiConfig;

/// The segment that may be empty: old clients end the path with a slash instead.
const MAY_BE_EMPTY: &str = "file_name";

/// All paths that are switched on, in the order of the table: what is asked for most is found first.
pub(crate) struct Places(Vec<Rc<Place>>);

/// One path, such as `/_matrix/media/v3/download/{server_name}/{media_id}`.
pub(crate) struct Place {
    pub(super) pattern: Arc<str>,
    /// What stands before the first value.
    beginning: String,
    /// The segments after it.
    rest: Vec<Segment>,
    /// One per method.
    pub(super) routes: Vec<&'static Route>,
}

enum Segment {
    Word(String),
    /// `{name}`: whatever stands there.
    Value(String),
}

impl Places {
    pub(crate) fn new(settings: &ApiConfig) -> Self {
        let mut patterns: Vec<(String, Vec<&'static Route>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for route in ROUTES.iter().filter(|route| route.switch.is_on(settings)) {
            for pattern in route.paths.iter().flat_map(|path| expand(path)) {
                let at = *known.entry(pattern.clone()).or_insert(patterns.len());
                if at == patterns.len() {
                    patterns.push((pattern, Vec::new()));
                }
                patterns[at].1.push(route);
            }
        }
        Self(patterns.into_iter().map(|(pattern, routes)| Rc::new(Place::new(&pattern, routes))).collect())
    }

    /// The first one that a path fits.
    pub(crate) fn find(&self, path: &str) -> Option<&Rc<Place>> {
        self.0.iter().find(|place| place.fits(path))
    }

    /// How a path is called in metrics and spans.
    pub(crate) fn name_of(&self, path: &str) -> Option<Arc<str>> {
        Some(Arc::clone(&self.find(path)?.pattern))
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|place| &**place)
    }
}

impl Place {
    fn new(pattern: &str, routes: Vec<&'static Route>) -> Self {
        let (beginning, rest) = pattern.split_at(pattern.find('{').unwrap_or(pattern.len()));
        let rest = if rest.is_empty() { Vec::new() } else { rest.split('/').map(Segment::new).collect() };
        Self { pattern: pattern.into(), beginning: beginning.to_owned(), rest, routes }
    }

    fn fits(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(&self.beginning) else { return false };
        if self.rest.is_empty() {
            return rest.is_empty();
        }
        let mut texts = segments(rest);
        self.rest.iter().all(|segment| texts.next().is_some_and(|text| segment.fits(text))) && texts.next().is_none()
    }

    /// What a path that fits has where the pattern has `{name}`.
    fn find_value<'a>(&self, name: &str, path: &'a str) -> Option<&'a str> {
        let is_it = |segment: &Segment| matches!(segment, Segment::Value(value) if value == name);
        segments(path.strip_prefix(&self.beginning)?).nth(self.rest.iter().position(is_it)?)
    }
}

/// What stands between the slashes.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut left = Some(path);
    std::iter::from_fn(move || {
        let text = left?;
        // Short texts: looking at each byte is faster than what is made for long ones.
        let end = text.bytes().position(|byte| byte == b'/');
        left = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

impl Segment {
    fn new(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Self::Value(name.to_owned()),
            None => Self::Word(text.to_owned()),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Word(word) => word == text,
            Self::Value(name) => !text.is_empty() || name == MAY_BE_EMPTY,
        }
    }
}

/// Notes which place a request has come to.
pub(super) fn enter(request: &HttpRequest, place: &Rc<Place>) {
    request.extensions_mut().insert(Rc::clone(place));
}

/// The segment of the path of a request that is called so. actix has decoded all of the path but
/// `%25`, `%2B` and `%2F` already.
pub(crate) fn find_segment<T>(request: &HttpRequest, name: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
    let extensions = request.extensions();
    extensions.get::<Rc<Place>>()?.find_value(name, path_of(request)).map(read)
}

/// The path of a request, decoded that far.
pub(super) fn path_of(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}

/// All paths that a row stands for.
fn expand(path: &str) -> Vec<String> {
    if let Some((before, rest)) = path.split_once('(')
        && let Some((choices, after)) = rest.split_once(')')
    {
        return choices.split('|').flat_map(|choice| expand(&format!("{before}{choice}{after}"))).collect();
    }
    if let Some((before, rest)) = path.split_once('[')
        && let Some((option, after)) = rest.split_once(']')
    {
        return ["", option].iter().flat_map(|option| expand(&format!("{before}{option}{after}"))).collect();
    }
    vec![path.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::new(&ApiConfig::default())
    }

    fn values(path: &str, names: &[&str]) -> Option<Vec<String>> {
        let places = places();
        let place = places.find(path)?;
        Some(names.iter().map(|name| place.find_value(name, path).unwrap_or("none").to_owned()).collect())
    }

    #[test]
    fn a_row_stands_for_all_its_paths() {
        assert_eq!(expand("/a/(x|y/z)/b[/{f}]"), ["/a/x/b", "/a/x/b/{f}", "/a/y/z/b", "/a/y/z/b/{f}"]);
        assert_eq!(expand("/a"), ["/a"]);
    }

    #[test]
    fn a_path_is_found_by_its_words_and_tells_its_values() {
        let names = ["server_name", "media_id", "file_name"];
        for (path, expected) in [
            ("/_matrix/client/v1/media/download/a.example/b", &["a.example", "b", "none"]),
            ("/_matrix/client/v1/media/download/a.example/b/c d", &["a.example", "b", "c d"]),
            ("/_matrix/client/v1/media/download/a.example/b/", &["a.example", "b", ""]),
            ("/_matrix/media/r0/thumbnail/a.example/b", &["a.example", "b", "none"]),
        ] {
            assert_eq!(values(path, &names).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_of_ours_is_not_found() {
        for path in [
            "/_matrix/client/v1/media/download/a.example",
            "/_matrix/client/v1/media/download/a.example/",
            "/_matrix/client/v1/media/download//b",
            "/_matrix/client/v1/media/download/a.example/b/c/d",
            "/_matrix/client/v1/media/thumbnail/a.example/b/",
            "/_matrix/client/v2/media/download/a.example/b",
            "/_matrix/client/v1/media/Download/a.example/b",
            "x/_matrix/client/v1/media/config",
            "/_matrix/client/v1/media/config/",
            "/",
            "",
        ] {
            assert!(places().find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_word_that_stands_first_outranks_a_value() {
        let name = |path: &str| places().name_of(path).unwrap().to_string();

        assert_eq!(name("/_synapse/admin/v1/media/protect/b"), "/_synapse/admin/v1/media/protect/{media_id}");
        assert_eq!(name("/_synapse/admin/v1/media/protected/b"), "/_synapse/admin/v1/media/{server_name}/{media_id}");
    }
}
