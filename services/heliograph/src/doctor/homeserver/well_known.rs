//! The files under `/.well-known/matrix/`: as everybody sees them, or as the homeserver has them.

use heliograph_matrix::{Homeservers, WellKnownFile, read_body};
use heliograph_types::Finding;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{Bench, PATIENCE};

const MOST_BYTES: usize = 50 << 10;
const MEMBER: &str = "m.media_server";

/// One of the files.
struct File {
    which: WellKnownFile,
    /// What it is of no use without.
    member: &'static str,
    /// Whether we are to be named in it.
    names_us: bool,
    /// What the settings say that it is.
    template: Option<String>,
}

pub(super) async fn of_clients(bench: &Bench) -> Finding {
    let (which, member) = (WellKnownFile::Client, "m.homeserver");
    let (names_us, template) = (bench.config.media_base_url.is_some(), bench.config.well_known_client.clone());
    look(bench, File { which, member, names_us, template }).await
}

pub(super) async fn of_servers(bench: &Bench) -> Finding {
    let (which, member) = (WellKnownFile::Server, "m.server");
    let (names_us, template) = (bench.config.media_server_name.is_some(), bench.config.well_known_server.clone());
    look(bench, File { which, member, names_us, template }).await
}

async fn look(bench: &Bench, file: File) -> Finding {
    match timeout(PATIENCE, fetch_public(bench, file.which)).await.unwrap_or_else(|_| Err("timed out".to_owned())) {
        Ok(text) => judge_public(text.as_deref(), &file),
        Err(reason) => judge_own(fetch_own(bench, &file).await, &reason, &file),
    }
}

/// As everybody sees it; `None` if it is not there.
async fn fetch_public(bench: &Bench, which: WellKnownFile) -> Result<Option<Vec<u8>>, String> {
    let url = format!("https://{}/.well-known/matrix/{}", bench.homeserver.server_name.host(), which.name());
    let url = url.parse().map_err(|error: url::ParseError| error.to_string())?;
    let request = bench.public.get(url).map_err(|error| error.to_string())?;
    let response = request.send().await.map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => read_body(response, MOST_BYTES).await.map(|body| Some(body.to_vec())).map_err(|error| error.to_string()),
        404 => Ok(None),
        status => Err(format!("answered with {status}")),
    }
}

/// As we would pass it on; `None` if there is nothing.
async fn fetch_own(bench: &Bench, file: &File) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = &file.template {
        return Ok(Some(text.clone().into_bytes()));
    }
    let reply = bench.asked.well_known(&bench.homeserver.server_name, file.which).await;
    reply.map(|reply| reply.map(|reply| reply.body.to_vec())).map_err(|error| super::reason(&error))
}

fn read(text: &[u8], file: &File) -> Result<Map<String, Value>, Finding> {
    let advice = format!("correct what is published under /.well-known/matrix/{}", file.which.name());
    let Ok(content) = serde_json::from_slice::<Map<String, Value>>(text) else {
        return Err(Finding::fail("is no JSON object: nobody can read it", advice));
    };
    if content.contains_key(file.member) {
        return Ok(content);
    }
    Err(Finding::fail(format!("has no {} in it", file.member), advice))
}

fn judge_public(text: Option<&[u8]>, file: &File) -> Finding {
    let advice = format!("send /.well-known/matrix/{} to heliograph", file.which.name());
    let content = match text.map(|text| read(text, file)) {
        None if file.names_us => return Finding::note(format!("is not published, so nobody sees {MEMBER}"), advice),
        None => return Finding::ok("is not published, and need not be"),
        Some(Err(finding)) => return finding,
        Some(Ok(content)) => content,
    };
    match (content.keys().any(|key| key.ends_with(MEMBER)), file.names_us) {
        (true, _) => Finding::ok(format!("is published, with {MEMBER}")),
        (false, true) => Finding::note(format!("is published without {MEMBER}"), advice),
        (false, false) => Finding::ok(format!("is published, without {MEMBER}, as set")),
    }
}

/// Where it cannot be seen from here as everybody sees it.
fn judge_own(own: Result<Option<Vec<u8>>, String>, reason: &str, file: &File) -> Finding {
    let unseen = format!("as others see it, out of reach from here ({reason})");
    let advice = "look at it from outside";
    match own.map(|text| text.map(|text| read(&text, file))) {
        Err(own_reason) => Finding::fail(format!("{unseen}, and at the homeserver too ({own_reason})"), super::LOOK),
        Ok(None) => Finding::note(format!("{unseen}; the homeserver has none"), advice),
        Ok(Some(Err(finding))) => finding,
        Ok(Some(Ok(_))) => Finding::note(format!("{unseen}; as the homeserver has it, good"), advice),
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::Verdict;

    use super::*;

    fn file(names_us: bool) -> File {
        File { which: WellKnownFile::Server, member: "m.server", names_us, template: None }
    }

    #[test]
    fn what_is_published_must_be_readable_and_should_name_us_if_set() {
        let verdict = |text: Option<&str>, names_us| judge_public(text.map(str::as_bytes), &file(names_us)).verdict;
        let with = r#"{"m.server": "a:443", "com.beeper.msc3859.m.media_server": "b:443"}"#;
        let without = r#"{"m.server": "a:443"}"#;

        assert_eq!(
            [(with, true), (with, false), (without, false)].map(|(text, us)| verdict(Some(text), us)),
            [Verdict::Ok; 3]
        );
        assert_eq!([verdict(Some(without), true), verdict(None, true)], [Verdict::Note; 2]);
        assert_eq!(["", "[]", "{}", "<html>"].map(|text| verdict(Some(text), false)), [Verdict::Fail; 4]);
    }

    #[test]
    fn what_cannot_be_seen_from_here_is_no_failure() {
        let verdict = |own| judge_own(own, "timed out", &file(true)).verdict;

        assert_eq!(verdict(Ok(None)), Verdict::Note);
        assert_eq!(verdict(Ok(Some(br#"{"m.server": "a:443"}"#.to_vec()))), Verdict::Note);
        assert_eq!(verdict(Ok(Some(b"nonsense".to_vec()))), Verdict::Fail);
        assert_eq!(verdict(Err("refused".to_owned())), Verdict::Fail);
    }
}
