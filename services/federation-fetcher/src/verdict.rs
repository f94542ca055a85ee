//! What an origin's refusal means, for the caller and for the origin. Pure.

use std::time::Duration;

use heliograph_types::{ErrorCode, Failure};
use serde::Deserialize;

/// Who is to be left alone after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The medium, for minutes: it is not there, or we would never take it.
    Missing,
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

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchError {
    pub(crate) failure: Failure,
    pub(crate) blame: Blame,
}

impl FetchError {
    pub(crate) fn new(blame: Blame, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), blame }
    }

    /// The origin cannot be reached, or broke off.
    pub(crate) fn origin(message: impl Into<String>) -> Self {
        Self::new(Blame::Origin, ErrorCode::BadGateway, message)
    }

    /// The origin's answer about this medium is nonsense.
    pub(crate) fn nonsense(message: impl Into<String>) -> Self {
        Self::new(Blame::Media, ErrorCode::BadGateway, message)
    }

    /// Larger than we take.
    pub(crate) fn too_large() -> Self {
        let message = "the media of the other server is larger than is accepted here";
        Self::new(Blame::Missing, ErrorCode::RemoteTooLarge, message)
    }

    /// Something of ours failed.
    pub(crate) fn ours(failure: impl Into<Failure>) -> Self {
        Self { failure: failure.into(), blame: Blame::Ours }
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

/// How long an origin that says "too much" without a time is left alone.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(30);

/// Reads an answer that is neither content nor a redirect to it.
pub(crate) fn judge(status: u16, body: &[u8], retry_after: Option<Duration>) -> Refusal {
    let errcode = serde_json::from_slice(body).ok().map(|ErrorAnswer { errcode }| errcode);
    let gateway = |blame| FetchError::new(blame, ErrorCode::BadGateway, format!("the other server answered {status}"));
    let refusal = match (status, errcode.as_deref()) {
        // The specification says 404 or 405; old servers say 400, proxies in front of them
        // say it without JSON.
        (400 | 404 | 405, Some("M_UNRECOGNIZED")) | (404 | 405, None) => return Refusal::UnknownEndpoint,
        (404 | 410, _) => FetchError { failure: Failure::not_found(), blame: Blame::Missing },
        (413, _) | (502, Some("M_TOO_LARGE")) => FetchError::too_large(),
        (504, Some("M_NOT_YET_UPLOADED")) => {
            FetchError::new(Blame::Nobody, ErrorCode::NotYetUploaded, "the media has not been uploaded yet")
        }
        (429, _) => {
            let pause = retry_after.unwrap_or(DEFAULT_THROTTLE);
            let FetchError { failure, blame } = gateway(Blame::Throttle(pause));
            FetchError { failure: failure.retry_after(pause), blame }
        }
        (500.., _) => gateway(Blame::Origin),
        _ => gateway(Blame::Media),
    };
    Refusal::Final(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Option<(ErrorCode, Blame)> {
        match judge(status, body.as_bytes(), Some(Duration::from_secs(7))) {
            Refusal::UnknownEndpoint => None,
            Refusal::Final(FetchError { failure, blame }) => Some((failure.code, blame)),
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
            (413, String::new(), (E::RemoteTooLarge, B::Missing)),
            (502, code("M_TOO_LARGE"), (E::RemoteTooLarge, B::Missing)),
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
    fn the_time_of_a_throttle_is_passed_on() {
        let Refusal::Final(error) = judge(429, b"", None) else { panic!("final") };

        assert_eq!(error.failure.retry_after, Some(DEFAULT_THROTTLE));
    }
}
