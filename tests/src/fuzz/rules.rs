//! What must hold of every answer, whatever was asked.

use serde_json::Value;

use super::{answer::Answer, endpoints, sent::Asked};

/// A rule that does not hold, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) seen: String,
}

/// Every header that there is. Another one came from the request.
const HEADERS: [&str; 26] = [
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "connection",
    "content-disposition",
    "content-length",
    "content-range",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "location",
    "referrer-policy",
    "retry-after",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    "x-robots-tag",
    "upgrade",
    "keep-alive",
];

const STATUSES: [u16; 21] =
    [200, 206, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 416, 429, 431, 414, 417, 426, 502, 503, 504];

/// Part of each token.
pub(crate) const SECRET: &str = "-token";

type Check = fn(&Answer, Option<&Asked>) -> Result<(), String>;

/// Rules for answers of the routes.
const OF_ROUTES: [(&str, Check); 12] = [
    ("CORS allows everybody, once", allows_everybody),
    ("headers are ours", headers_are_ours),
    ("an error is JSON with errcode and error", errors_are_json),
    ("a gateway fails only where there is one", gateways),
    ("a disposition is plain and can be read", disposition),
    ("content cannot run", content_is_tame),
    ("a redirect leads to our own address and says nothing else", redirects),
    ("a part says what it is", parts),
    ("not modified is empty", not_modified),
    ("a refused method is told the right ones", tells_methods),
    ("JSON is JSON, and pages go on", json_answers),
    ("every row of the table is served", is_served),
];

/// The rules that an answer breaks. `asked` is there if the request was HTTP.
pub(crate) fn check(answer: &Answer, asked: Option<&Asked>) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut note = |rule, outcome: Result<(), String>| {
        if let Err(seen) = outcome {
            broken.push(Broken { rule, seen });
        }
    };
    note("the status is one of ours", status(answer, asked));
    note("no answer shows a token", no_token(answer));
    if is_of_routes(answer) {
        for (rule, check) in OF_ROUTES {
            note(rule, check(answer, asked));
        }
    } else if asked.is_some() {
        note("whoever speaks HTTP is answered by a route", Err(format!("status {}", answer.status)));
    }
    broken
}

/// The parser of HTTP answers by itself, before any route.
pub(crate) fn is_of_routes(answer: &Answer) -> bool {
    answer.count("access-control-allow-origin") > 0
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}

fn status(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let is_allowed = STATUSES.contains(&answer.status) || (asked.is_none() && [501, 505].contains(&answer.status));
    ensure(is_allowed, || answer.status.to_string())
}

fn no_token(answer: &Answer) -> Result<(), String> {
    let shows = [&answer.head, &answer.body]
        .iter()
        .any(|text| text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    ensure(!shows, || "a token".to_owned())
}

fn allows_everybody(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    let name = "access-control-allow-origin";
    ensure(answer.count(name) == 1 && answer.header(name) == Some("*"), || format!("{:?}", answer.header(name)))
}

fn headers_are_ours(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    for (name, _) in &answer.headers {
        ensure(HEADERS.contains(&name.as_str()) && answer.count(name) == 1, || name.clone())?;
    }
    Ok(())
}

/// What was asked is not known of what is no request: it may have been `HEAD`.
fn has_no_body(answer: &Answer, asked: Option<&Asked>) -> bool {
    asked.map_or(answer.body.is_empty(), |asked| asked.method == "HEAD")
}

fn errors_are_json(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    if answer.status < 400 {
        return Ok(());
    }
    let kind = answer.header("content-type");
    ensure(kind == Some("application/json"), || format!("status {}, type {kind:?}", answer.status))?;
    if has_no_body(answer, asked) {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_error = body["errcode"].as_str().is_some_and(|code| code.starts_with("M_")) && body["error"].is_string();
    ensure(is_error, || format!("status {}, {:?}", answer.status, String::from_utf8_lossy(&answer.body)))
}

fn gateways(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let Some(asked) = asked.filter(|_| answer.status >= 500) else { return Ok(()) };
    let fetches = ["/download/", "/thumbnail/"].iter().any(|part| asked.target.contains(part));
    let is_federation = asked.target.contains("/federation/");
    let may = match answer.status {
        502 => fetches && !is_federation,
        504 => fetches,
        _ => false,
    };
    ensure(may, || format!("status {} for {}", answer.status, asked.target))
}

/// The three forms of the specification, and `filename` in ASCII alone.
fn disposition(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    let Some(value) = answer.header("content-disposition") else { return Ok(()) };
    let (word, parameter) = value.split_once("; ").unwrap_or((value, ""));
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte))
    };
    let is_encoded = |text: &str| {
        let text = text.replace('%', "");
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte))
    };
    let is_good = if let Some(encoded) = parameter.strip_prefix("filename*=utf-8''") {
        is_encoded(encoded)
    } else if let Some(quoted) = parameter.strip_prefix("filename=\"") {
        quoted.strip_suffix('"').is_some_and(|text| !text.contains(['"', '\\', '%']))
    } else {
        parameter.is_empty() || parameter.strip_prefix("filename=").is_some_and(is_token)
    };
    ensure(["inline", "attachment"].contains(&word) && is_good, || value.to_owned())
}

fn content_is_tame(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    if answer.header("content-disposition").is_none() {
        return Ok(());
    }
    let sandboxed = answer.header("content-security-policy").is_some_and(|policy| policy.starts_with("sandbox"));
    ensure(sandboxed, || "no Content-Security-Policy".to_owned())?;
    ensure(answer.header("x-content-type-options") == Some("nosniff"), || "no nosniff".to_owned())?;
    ensure(answer.header("content-type").is_some(), || "no Content-Type".to_owned())
}

fn redirects(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let Some(location) = answer.header("location") else {
        return ensure(answer.status != 307, || "307 to nowhere".to_owned());
    };
    let is_read = asked.is_none_or(|asked| asked.target.contains("/media/"));
    let is_whole = answer.status == 307 && answer.body.is_empty() && is_read;
    ensure(is_whole && location.starts_with("https://media.test/_heliograph/"), || location.to_owned())
}

fn parts(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let range = answer.header("content-range");
    match answer.status {
        206 if answer.header("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges")) => {
            ensure(range.is_none(), || format!("{range:?} of several parts"))
        }
        206 => {
            let numbers: Option<Vec<usize>> = range
                .and_then(|range| range.strip_prefix("bytes "))
                .map(|range| range.split(['-', '/']).filter_map(|number| number.parse().ok()).collect());
            let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
            let is_right = numbers.as_deref().is_some_and(|numbers| match numbers {
                [first, last, size] => first <= last && last < size && length == Some(last - first + 1),
                _ => false,
            });
            ensure(is_right, || format!("{range:?} and {length:?} bytes"))
        }
        416 => ensure(range.is_some_and(|range| range.starts_with("bytes */")), || format!("{range:?}")),
        // Content that is being copied tells its size all the same.
        200 if range.is_some() => Err(format!("{range:?} and {:?}", asked.map(|asked| &asked.target))),
        _ => Ok(()),
    }
}

fn not_modified(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    if answer.status != 304 {
        return Ok(());
    }
    let length = answer.header("content-length");
    ensure(answer.header("etag").is_some(), || "no ETag".to_owned())?;
    ensure(answer.header("transfer-encoding").is_none() && length.is_none_or(|length| length == "0"), || {
        format!("{length:?}")
    })
}

fn tells_methods(answer: &Answer, _: Option<&Asked>) -> Result<(), String> {
    let allowed = answer.header("allow");
    ensure(answer.status != 405 || allowed.is_some_and(|allowed| allowed.contains("OPTIONS")), || {
        format!("{allowed:?}")
    })
}

fn json_answers(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let is_content = answer.header("content-disposition").is_some();
    let is_json = answer.header("content-type") == Some("application/json");
    if is_content || !is_json || has_no_body(answer, asked) || answer.status >= 400 {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let Some(next) = body["next_token"].as_u64() else { return Ok(()) };
    // Another `?` belongs to a name or a value.
    let query = asked.and_then(|asked| asked.target.split_once('?')).map_or("", |(_, query)| query);
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from="));
    let from: u64 = from.map_or(Some(0), |from| from.parse().ok()).unwrap_or(0);
    ensure(next > from, || format!("page {next} follows {from}"))
}

fn is_served(answer: &Answer, asked: Option<&Asked>) -> Result<(), String> {
    let Some(asked) = asked else { return Ok(()) };
    let is_known = endpoints::is_known(&asked.method, &asked.target);
    let is_unrecognized = answer.status == 405 || answer.body.windows(14).any(|part| part == b"M_UNRECOGNIZED");
    // Previews are not made yet, homeservers speak for themselves about logouts, their keys and
    // their version, and a folder has no URL that content could be put to.
    let may_be = ["preview_url", "/logout", "/key/v2/server", "/federation/v1/version", "/org.heliograph/upload/"]
        .iter()
        .any(|part| asked.target.contains(part));
    ensure(!is_known || !is_unrecognized || may_be, || {
        format!("status {} for {} {}", answer.status, asked.method, asked.target)
    })
}

/// What is refused for its length is refused at once, and not asked for first. For requests
/// that send no body before the answer.
pub(crate) fn check_unasked(answer: &Answer) -> Option<Broken> {
    let is_late = answer.status == 413 && answer.was_continued;
    is_late.then(|| Broken { rule: "what is too large is not asked for", seen: "100, then 413".to_owned() })
}
