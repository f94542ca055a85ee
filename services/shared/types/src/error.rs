//! The one error that crosses contracts: a code of the protocol, and words for people.

use std::{fmt, str::FromStr, time::Duration};

/// What went wrong, as the protocol tells it. `api` maps each to an HTTP status and a
/// Matrix `errcode`, `proto` maps each to a gRPC status; both in one `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 400 `M_MISSING_PARAM`: a required parameter is absent.
    MissingParam,
    /// 400 `M_INVALID_PARAM`: a parameter cannot be read or is out of range.
    InvalidParam,
    /// 400 `M_UNKNOWN`: the content is no picture that can be made smaller.
    CannotThumbnail,
    /// 400 `M_NOT_JSON`: the body is not JSON.
    NotJson,
    /// 400 `M_NOT_YET_UPLOADED`: the upload is to be completed, and there is nothing yet (MSC3870).
    NothingUploaded,
    /// 401 `M_MISSING_TOKEN`: no access token.
    MissingToken,
    /// 401 `M_UNKNOWN_TOKEN`: the access token is not valid.
    UnknownToken,
    /// 401 `M_UNAUTHORIZED`: the signature of another server is missing or wrong.
    Unauthorized,
    /// 403 `M_FORBIDDEN`: not allowed.
    Forbidden,
    /// 403 `M_GUEST_ACCESS_FORBIDDEN`: guests may not do this.
    GuestAccessForbidden,
    /// 403 `M_USER_LIMIT_EXCEEDED`: over the user's own quota (MSC4335).
    UserLimitExceeded,
    /// 403 `M_USER_SUSPENDED`: a suspended account may only read.
    UserSuspended,
    /// 404 `M_NOT_FOUND`: no such media.
    NotFound,
    /// 404 `M_UNRECOGNIZED`: no such endpoint.
    Unrecognized,
    /// 405 `M_UNRECOGNIZED`: no such method here.
    MethodNotAllowed,
    /// 408 `M_UNKNOWN`: the body stopped arriving.
    RequestTimeout,
    /// 409 `M_CANNOT_OVERWRITE_MEDIA`: the id has content, or is getting it now.
    CannotOverwriteMedia,
    /// 413 `M_TOO_LARGE`: larger than we accept.
    TooLarge,
    /// 416 `M_UNKNOWN`: the range lies outside the content.
    RangeNotSatisfiable,
    /// 429 `M_LIMIT_EXCEEDED`: too much at once; try again later.
    LimitExceeded,
    /// 500 `M_UNKNOWN`: a fault of ours.
    Internal,
    /// 502 `M_UNKNOWN`: another server is out of reach or answers nonsense.
    BadGateway,
    /// 502 `M_TOO_LARGE`: the media of another server is larger than we accept.
    RemoteTooLarge,
    /// 503 `M_UNKNOWN`: something that we depend on is missing right now.
    Unavailable,
    /// 504 `M_NOT_YET_UPLOADED`: the id exists, its content does not yet.
    NotYetUploaded,
}

impl ErrorCode {
    /// Every code, in the order of their HTTP status.
    pub const ALL: [Self; 25] = [
        Self::MissingParam,
        Self::InvalidParam,
        Self::CannotThumbnail,
        Self::NotJson,
        Self::NothingUploaded,
        Self::MissingToken,
        Self::UnknownToken,
        Self::Unauthorized,
        Self::Forbidden,
        Self::GuestAccessForbidden,
        Self::UserLimitExceeded,
        Self::UserSuspended,
        Self::NotFound,
        Self::Unrecognized,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::CannotOverwriteMedia,
        Self::TooLarge,
        Self::RangeNotSatisfiable,
        Self::LimitExceeded,
        Self::Internal,
        Self::BadGateway,
        Self::RemoteTooLarge,
        Self::Unavailable,
        Self::NotYetUploaded,
    ];

    /// Whether the same request may succeed later without any change to it.
    pub const fn may_be_retried(self) -> bool {
        matches!(
            self,
            Self::RequestTimeout | Self::LimitExceeded | Self::BadGateway | Self::Unavailable | Self::NotYetUploaded
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for ErrorCode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|code| code.to_string() == name).ok_or(())
    }
}

/// An error that one service tells another, and in the end the client.
///
/// `message` is read by people; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of error it is; callers decide by it.
    pub code: ErrorCode,
    /// What happened, with the value in it.
    pub message: String,
    /// When to try again, if that is known.
    pub retry_after: Option<Duration>,
    /// Where a user can read about the limit of its account that was reached.
    pub account_limit: Option<AccountLimit>,
}

/// What a user is told about the limit of its account (MSC4335).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLimit {
    /// A page that explains it.
    pub info_uri: String,
    /// Whether the user can get more, as the page explains.
    pub can_upgrade: bool,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, account_limit: None }
    }

    /// The same, to be tried again after `span`.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// No such media.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "media not found")
    }

    /// Something that we depend on is missing right now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// No room now.
    pub fn saturated(message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(ErrorCode::LimitExceeded, message).retry_after(retry_after)
    }
}
