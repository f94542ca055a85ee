//! The endpoints, as the reference for operators tells them: it is made from the table that
//! the router is made from.

use std::sync::LazyLock;

const REFERENCE: &str = include_str!("../../../services/heliograph/ENDPOINTS.md");

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Anyone,
    User,
    Server,
    Administrator,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// How the row is called in the report.
    pub(crate) label: String,
    pub(crate) method: &'static str,
    pub(crate) caller: Caller,
    /// All paths that the row stands for.
    pub(crate) paths: Vec<String>,
}

/// All of them.
pub(crate) static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let rows = REFERENCE.lines().filter(|line| line.contains("| `/"));
    let health = ["/livez", "/readyz", "/metrics"].map(|path| Endpoint {
        label: format!("GET {path}"),
        method: "GET",
        caller: Caller::Anyone,
        paths: vec![path.to_owned()],
    });
    let endpoints: Vec<Endpoint> = rows.map(read_row).chain(health).collect();
    assert!(endpoints.len() > 30, "the reference cannot be read");
    endpoints
});

fn read_row(row: &str) -> Endpoint {
    let row = row.replace("\\|", "\u{1}");
    let cells: Vec<String> = row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
    let method = match cells[1].as_str() {
        "GET, HEAD" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        other => panic!("the fuzzer does not know {other}"),
    };
    let caller = match cells[3].as_str() {
        "anyone" => Caller::Anyone,
        "administrators" => Caller::Administrator,
        "other servers, by signature" => Caller::Server,
        "users" | "users and guests" => Caller::User,
        other => panic!("the fuzzer does not know {other}"),
    };
    let path = cells[2].trim_matches('`');
    Endpoint { label: format!("{method} {path}"), method, caller, paths: expand(path) }
}

/// `(a|b)` stands for several paths, `[/c]` may be there or not.
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

/// How the row that a request belongs to is called; or what else it is.
pub(crate) fn label(method: &str, target: &str) -> String {
    match find(method, target) {
        Some(endpoint) if method == "HEAD" => endpoint.label.replacen("GET", "HEAD", 1),
        Some(endpoint) => endpoint.label.clone(),
        None if method == "OPTIONS" => method.to_owned(),
        None if on_path(target).next().is_some() => "another method on an endpoint".to_owned(),
        None => "another path".to_owned(),
    }
}

/// Whether this is a row of the table.
pub(crate) fn is_known(method: &str, target: &str) -> bool {
    find(method, target).is_some()
}

fn find(method: &str, target: &str) -> Option<&'static Endpoint> {
    let method = if method == "HEAD" { "GET" } else { method };
    on_path(target).find(|endpoint| endpoint.method == method)
}

/// The rows with this path. If a path fits several patterns, that with the fewest gaps counts.
fn on_path(target: &str) -> impl Iterator<Item = &'static Endpoint> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let gaps = move |endpoint: &Endpoint| {
        let patterns = endpoint.paths.iter().filter(|pattern| matches(pattern, path));
        patterns.map(|pattern| pattern.matches('{').count()).min()
    };
    let fewest = ENDPOINTS.iter().filter_map(gaps).min();
    ENDPOINTS.iter().filter(move |endpoint| fewest.is_some() && gaps(endpoint) == fewest)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if fits(pattern, segment) => {}
            _ => return false,
        }
    }
}

fn fits(pattern: &str, segment: &str) -> bool {
    pattern == segment || pattern == "{file_name}" || (pattern.starts_with('{') && !segment.is_empty())
}
