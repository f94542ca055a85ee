//! What an origin's refusal means, for the caller and for the origin. Pure.

use std::time::Duration;

use heliograph_matrix::FederationConfig;
use heliograph_proto::Differs;
use heliograph_types::{ErrorCode, Failure};
use serde::Deserialize;

/// Who is to be left alone after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The medium, for minutes: it is not there.
    Missing,
    /// The medium, for long: we would never take it, and to find that out again costs a fetch.
    TooLarge,
    /// The medium, for a moment.
    Media,
    /// The origin, for as long as it says.
    Throttle(Duration),
    /// The origin: it is out of reach or broken.
    Origin,
    /// Nobody: the origin did what it should.
    Nobody,
    /// Ourselves.
    Ours,
}

/// How long a failure of a medium is remembered, by its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) missing: Duration,
    pub(crate) too_large: Duration,
    pub(crate) failed: Duration,
}

impl Memory {
    pub(crate) fn new(config: &FederationConfig) -> Self {
        Self { missing: config.remember_missing, too_large: config.remember_too_large, failed: config.remember_failed }
    }
}

/// All that users learn of an origin that cannot be reached: the reason tells what our
/// resolver knows, and which of our own servers there are.
pub(crate) const OUT_OF_REACH: &str = "the other server is out of reach";

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchError {
    pub(crate) failure: Failure,
    pub(crate) blame: Blame,
    /// What the failure does not say; for the log alone.
    pub(crate) reason: Option<Box<str>>,
    /// Whether no Matrix server answered: another one, if there is one, may be asked.
    pub(crate) is_unanswered: bool,
}

impl FetchError {
    pub(crate) fn new(blame: Blame, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), blame, reason: None, is_unanswered: false }
    }

    /// The origin cannot be reached, or does not answer.
    pub(crate) fn origin(reason: impl Into<String>) -> Self {
        let reason = Some(reason.into().into());
        Self { reason, ..Self::new(Blame::Origin, ErrorCode::BadGateway, OUT_OF_REACH) }.unanswered()
    }

    /// The origin began to answer and did not come to an end. That may be this medium alone;
    /// an origin that is gone is noticed at the next question.
    pub(crate) fn broke_off(reason: impl Into<String>) -> Self {
        let reason = Some(reason.into().into());
        Self { reason, ..Self::nonsense("the other server broke off its answer") }.unanswered()
    }

    /// The medium is somewhere we do not connect to.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self { blame: Blame::Media, ..Self::origin(reason) }
    }

    /// The origin's answer about this medium is nonsense.
    pub(crate) fn nonsense(message: impl Into<String>) -> Self {
        Self::new(Blame::Media, ErrorCode::BadGateway, message)
    }

    /// Whatever came was not from a Matrix server.
    pub(crate) fn unanswered(self) -> Self {
        Self { is_unanswered: true, ..self }
    }

    /// Larger than we take.
    pub(crate) fn too_large() -> Self {
        let message = "the media of the other server is larger than is accepted here";
        Self::new(Blame::TooLarge, ErrorCode::RemoteTooLarge, message)
    }

    /// Larger than is fetched for a thumbnail alone. Nothing is wrong with it.
    pub(crate) fn declined() -> Self {
        let message = "the media of the other server is too large to be fetched for a thumbnail";
        Self::new(Blame::Nobody, ErrorCode::RemoteTooLarge, message)
    }

    /// Something of ours failed.
    pub(crate) fn ours(failure: impl Into<Failure>) -> Self {
        Self { failure: failure.into(), blame: Blame::Ours, reason: None, is_unanswered: false }
    }
}

/// A second source of the content has another one.
impl From<Differs> for FetchError {
    fn from(differs: Differs) -> Self {
        Self::nonsense(differs.to_string())
    }
}

/// What an answer other than 200 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The origin does not know this endpoint: an older one may do.
    UnknownEndpoint,
    /// Anything else.
    Final(FetchError),
}

#[derive(Deserialize)]
struct ErrorAnswer {
    errcode: String,
}

/// The error of Matrix in a body, if it is one.
fn read_errcode(body: &[u8]) -> Option<String> {
    serde_json::from_slice(body).ok().map(|ErrorAnswer { errcode }| errcode)
}

/// How long an origin that says "too much" without a time is left alone.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(30);

/// Reads an answer that is neither content nor a redirect to it.
pub(crate) fn judge(status: u16, body: &[u8], retry_after: Option<Duration>) -> Refusal {
    let errcode = read_errcode(body);
    let gateway = |blame| FetchError::new(blame, ErrorCode::BadGateway, format!("the other server answered {status}"));
    let refusal = match (status, errcode.as_deref()) {
        // The specification says 404 or 405; old servers say 400, proxies in front of them
        // say it without JSON.
        (400 | 404 | 405, Some("M_UNRECOGNIZED")) | (404 | 405, None) => return Refusal::UnknownEndpoint,
        (404 | 410, _) => FetchError::new(Blame::Missing, ErrorCode::NotFound, Failure::not_found().message),
        (413, _) | (502, Some("M_TOO_LARGE")) => FetchError::too_large(),
        (504, Some("M_NOT_YET_UPLOADED")) => {
            FetchError::new(Blame::Nobody, ErrorCode::NotYetUploaded, "the media has not been uploaded yet")
        }
        (429, _) => {
            let pause = retry_after.unwrap_or(DEFAULT_THROTTLE);
            let error = gateway(Blame::Throttle(pause));
            FetchError { failure: error.failure.retry_after(pause), ..error }
        }
        (500.., _) => gateway(Blame::Origin),
        _ => gateway(Blame::Media),
    };
    Refusal::Final(if errcode.is_some() { refusal } else { refusal.unanswered() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Option<(ErrorCode, Blame)> {
        match judge(status, body.as_bytes(), Some(Duration::from_secs(7))) {
            Refusal::UnknownEndpoint => None,
            Refusal::Final(FetchError { failure, blame, .. }) => Some((failure.code, blame)),
        }
    }

    #[test]
    fn an_older_endpoint_is_tried_only_if_this_one_is_unknown() {
        let unknown = r#"{"errcode":"M_UNRECOGNIZED"}"#;
        for (status, body) in [(404, unknown), (405, unknown), (400, unknown), (404, ""), (404, "<html>"), (405, "")] {
            assert_eq!(judged(status, body), None, "{status} {body}");
        }
    }

    #[test]
    fn every_other_answer_is_final() {
        use Blame as B;
        use ErrorCode as E;
        let code = |errcode: &str| format!(r#"{{"errcode":"{errcode}"}}"#);
        for (status, body, expected) in [
            (404, code("M_NOT_FOUND"), (E::NotFound, B::Missing)),
            (404, code("M_UNKNOWN"), (E::NotFound, B::Missing)),
            (410, String::new(), (E::NotFound, B::Missing)),
            (400, code("M_UNKNOWN"), (E::BadGateway, B::Media)),
            (400, String::new(), (E::BadGateway, B::Media)),
            (401, code("M_UNAUTHORIZED"), (E::BadGateway, B::Media)),
            (401, code("M_UNRECOGNIZED"), (E::BadGateway, B::Media)),
            (403, code("M_FORBIDDEN"), (E::BadGateway, B::Media)),
            (307, String::new(), (E::BadGateway, B::Media)),
            (413, String::new(), (E::RemoteTooLarge, B::TooLarge)),
            (502, code("M_TOO_LARGE"), (E::RemoteTooLarge, B::TooLarge)),
            (429, code("M_LIMIT_EXCEEDED"), (E::BadGateway, B::Throttle(Duration::from_secs(7)))),
            (504, code("M_NOT_YET_UPLOADED"), (E::NotYetUploaded, B::Nobody)),
            (504, "<html>".to_owned(), (E::BadGateway, B::Origin)),
            (500, code("M_UNKNOWN"), (E::BadGateway, B::Origin)),
            (502, String::new(), (E::BadGateway, B::Origin)),
            (503, code("M_UNRECOGNIZED"), (E::BadGateway, B::Origin)),
        ] {
            assert_eq!(judged(status, &body), Some(expected), "{status} {body}");
        }
    }

    #[test]
    fn an_origin_is_blamed_for_its_silence_and_a_medium_for_its_body() {
        assert_eq!(FetchError::origin("no answer").blame, Blame::Origin);
        for error in [FetchError::broke_off("reset"), FetchError::nonsense("late"), FetchError::refused("private")] {
            assert_eq!((error.blame, error.failure.code), (Blame::Media, ErrorCode::BadGateway));
        }
    }

    #[test]
    fn only_an_error_of_matrix_is_an_answer() {
        for (status, body, expected) in
            [(404, r#"{"errcode":"M_NOT_FOUND"}"#, false), (502, "<html>", true), (403, "{}", true), (410, "", true)]
        {
            let Refusal::Final(error) = judge(status, body.as_bytes(), None) else { panic!("final") };
            assert_eq!(error.is_unanswered, expected, "{status} {body}");
        }
        assert!(FetchError::origin("no answer").is_unanswered && FetchError::refused("private").is_unanswered);
        assert!(!FetchError::too_large().is_unanswered);
    }

    #[test]
    fn the_time_of_a_throttle_is_passed_on() {
        let Refusal::Final(error) = judge(429, b"", None) else { panic!("final") };

        assert_eq!(error.failure.retry_after, Some(DEFAULT_THROTTLE));
    }
}
