//! Whether browsers let web clients use the URLs of the store.

use heliograph_types::Finding;
use reqwest::{Method, header::HeaderMap};

use super::{
    Outcome,
    bucket::{Bench, List},
    http::{LIFETIME, download, header, presign, send, stranger},
};
use crate::{Grant, Key};

const ORIGIN: &str = "https://app.example";
/// Of pages that come from nowhere, such as those in a sandbox.
const NO_ORIGIN: &str = "null";

pub(super) fn add_to(list: &mut List) {
    list.add("browsers: upload (CORS)", upload);
    list.add("browsers: download (CORS)", fetch);
}

async fn upload(bench: Bench) -> Outcome {
    let url = presign(&bench, &Key::new("cors/upload")?, Grant::Put, LIFETIME).await?;
    let preflight = stranger(&bench)?
        .request(Method::OPTIONS, url)
        .header("origin", ORIGIN)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type");
    let answer = send(preflight).await?;
    let allowed = answer.status().is_success() && allows_upload(answer.headers());
    Ok(judge(allowed, bench.needs.direct_uploads))
}

async fn fetch(bench: Bench) -> Outcome {
    let key = bench.write("cors/download").await?;
    let url = presign(&bench, &key, download(), LIFETIME).await?;
    let answer = send(stranger(&bench)?.get(url).header("origin", NO_ORIGIN)).await?;
    let allowed = answer.status().is_success() && allows_origin(answer.headers(), NO_ORIGIN);
    Ok(judge(allowed, bench.needs.direct_uploads))
}

fn judge(allowed: bool, needed: bool) -> Finding {
    if allowed {
        return Finding::ok("allowed for web clients of every origin");
    }
    Finding::lacking(
        needed,
        "a web client may not: the bucket has no CORS rule that lets every origin do it",
        "set the rule that `heliograph doctor --print-bucket-rules` prints, or the same at the proxy before the store",
    )
}

fn allows_origin(headers: &HeaderMap, origin: &str) -> bool {
    let allowed = header(headers, "access-control-allow-origin");
    allowed == "*" || allowed == origin
}

fn allows_upload(headers: &HeaderMap) -> bool {
    allows_origin(headers, ORIGIN)
        && names(headers, "access-control-allow-methods", "PUT")
        && names(headers, "access-control-allow-headers", "content-type")
}

/// Whether a list in a header has this name in it.
fn names(headers: &HeaderMap, list: &str, name: &str) -> bool {
    let values = headers.get_all(list).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|one| one == "*" || one.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use heliograph_types::Verdict;

    use super::*;

    fn headers(origin: &'static str, methods: &'static str, names: &'static str) -> HeaderMap {
        let pairs = [
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", names),
        ];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_preflight_allows_all_that_an_upload_has_or_nothing() {
        assert!(allows_upload(&headers("*", "GET, PUT", "Content-Type")));
        assert!(allows_upload(&headers(ORIGIN, "*", "*")));
        for (origin, methods, names) in
            [("https://b.example", "PUT", "*"), ("*", "GET", "*"), ("*", "PUT", "x-amz-acl"), ("", "PUT", "*")]
        {
            assert!(!allows_upload(&headers(origin, methods, names)), "{origin} {methods} {names}");
        }
    }

    #[test]
    fn a_missing_rule_fails_only_where_clients_put_content_there_themselves() {
        assert_eq!(judge(false, true).verdict, Verdict::Fail);
        assert_eq!(judge(false, false).verdict, Verdict::Note);
        assert_eq!(judge(true, true).verdict, Verdict::Ok);
    }
}
