//! What errors mean, in a line for the operator: without keys of ours, and without secrets.

use std::error::Error;

use heliograph_types::Finding;

use crate::{BlobError, InvalidKey, cloud::CREATE_IT};

/// What to do about a store that cannot be spoken to.
pub(super) const LOOK: &str =
    "see that the store runs and can be reached from here, and check storage.url and storage.endpoint";
/// More of an answer is not shown.
const MOST_CHARS: usize = 200;

impl From<BlobError> for Finding {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound { .. } => Self::fail("what was just written is not there", "see who else writes there"),
            BlobError::AlreadyExists { .. } => Self::fail("what is new is there already", "see who else writes there"),
            BlobError::Full => Self::fail("the store is full", "free some space, or give it more"),
            BlobError::Denied { advice, .. } => Self::fail("the store refuses us", advice),
            BlobError::Failed { source, .. } => explain(&*source),
        }
    }
}

impl From<InvalidKey> for Finding {
    fn from(error: InvalidKey) -> Self {
        Self::fail(error.to_string(), "correct the prefix in storage.url")
    }
}

/// What an error of the plain client means.
pub(super) fn of_request(error: reqwest::Error) -> Finding {
    // The URL is a key to the object.
    let error = error.without_url();
    let told = if error.is_timeout() { "no answer in time".to_owned() } else { shortened(&deepest(&error)) };
    Finding::fail(told, LOOK)
}

fn explain(error: &(dyn Error + 'static)) -> Finding {
    let text = deepest(error);
    // What we say ourselves has the advice in it.
    if let Some((told, rest)) = text.split_once(CREATE_IT) {
        let code = code_of(rest).map(|code| format!(" ({code})")).unwrap_or_default();
        return Finding::fail(format!("{told}{code}"), "create it, or correct storage.url");
    }
    match code_of(&text) {
        Some(code) => Finding::fail(format!("the store answers {code}"), advice_for(&code)),
        None => Finding::fail(shortened(&text), LOOK),
    }
}

fn advice_for(code: &str) -> &'static str {
    match code {
        "RequestTimeTooSkewed" => "set the clock of this machine: use NTP",
        "AuthorizationHeaderMalformed" | "InvalidRegion" => "correct storage.region",
        "PermanentRedirect" => "correct storage.region or storage.endpoint: the bucket is elsewhere",
        "SlowDown" | "ServiceUnavailable" | "InternalError" => "try again later; see how the store is",
        "NotImplemented" => "the store cannot do that: see whether a newer version can",
        _ => LOOK,
    }
}

/// The text of the last cause: those before only repeat it, around the key.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// The code in an XML answer of S3, Google or Azure.
fn code_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| code.to_owned())
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MOST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Finding {
        BlobError::Failed { key: "trial/x".to_owned(), source: text.into() }.into()
    }

    #[test]
    fn of_an_xml_answer_its_code_is_told_and_nothing_else() {
        let finding =
            failed("403: <Error><Code>RequestTimeTooSkewed</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>");

        assert_eq!(finding.told, "the store answers RequestTimeTooSkewed");
        assert!(finding.advice.unwrap().contains("clock"));
    }

    #[test]
    fn a_missing_bucket_is_told_with_what_to_do() {
        let finding =
            failed("there is no s3://nope, create it, or correct the url of its section: <Code>NoSuchBucket</Code>");

        assert_eq!(finding, Finding::fail("there is no s3://nope (NoSuchBucket)", "create it, or correct storage.url"));
    }

    #[test]
    fn what_a_store_sends_is_shown_in_one_short_line() {
        let finding = failed(&"a\n b".repeat(1000));

        assert_eq!(finding.told.chars().count(), MOST_CHARS);
        assert!(!finding.told.contains('\n'));
    }
}
