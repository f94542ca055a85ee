//! `Failure` as a gRPC status, and back.

use std::time::Duration;

use heliograph_types::{AccountLimit, ErrorCode, Failure};
use tonic::{Code, Status, metadata::MetadataValue};

/// The exact code: gRPC has fewer than the protocol.
const CODE: &str = "heliograph-code";
const RETRY_AFTER_MS: &str = "heliograph-retry-after-ms";
const INFO_URI: &str = "heliograph-info-uri";
const CAN_UPGRADE: &str = "heliograph-can-upgrade";

const fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::MissingParam | ErrorCode::InvalidParam | ErrorCode::NotJson | ErrorCode::CannotThumbnail => {
            Code::InvalidArgument
        }
        ErrorCode::NothingUploaded => Code::FailedPrecondition,
        ErrorCode::MissingToken | ErrorCode::UnknownToken | ErrorCode::Unauthorized => Code::Unauthenticated,
        ErrorCode::Forbidden | ErrorCode::GuestAccessForbidden | ErrorCode::UserSuspended => Code::PermissionDenied,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::Unrecognized | ErrorCode::MethodNotAllowed => Code::Unimplemented,
        ErrorCode::CannotOverwriteMedia => Code::AlreadyExists,
        ErrorCode::TooLarge | ErrorCode::RemoteTooLarge | ErrorCode::LimitExceeded | ErrorCode::UserLimitExceeded => {
            Code::ResourceExhausted
        }
        ErrorCode::RangeNotSatisfiable => Code::OutOfRange,
        ErrorCode::Internal => Code::Internal,
        ErrorCode::BadGateway | ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::RequestTimeout | ErrorCode::NotYetUploaded => Code::DeadlineExceeded,
    }
}

/// Why an instance that ends gives up what it does. Who asked over gRPC learns of it as of a
/// broken connection: another instance can do it.
pub fn leaving() -> Failure {
    Failure::unavailable("this instance ends")
}

/// What the server sends for a failure.
pub(crate) fn to_status(failure: Failure) -> Status {
    if failure == leaving() {
        return Status::unavailable(failure.message);
    }
    let mut status = Status::new(grpc_code(failure.code), failure.message);
    let metadata = status.metadata_mut();
    if let Ok(code) = failure.code.to_string().parse() {
        metadata.insert(CODE, code);
    }
    if let Some(span) = failure.retry_after {
        metadata.insert(RETRY_AFTER_MS, MetadataValue::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
    }
    if let Some(AccountLimit { info_uri, can_upgrade }) = failure.account_limit
        && let Ok(info_uri) = info_uri.parse()
    {
        metadata.insert(INFO_URI, info_uri);
        metadata.insert(CAN_UPGRADE, MetadataValue::from_static(if can_upgrade { "true" } else { "false" }));
    }
    status
}

/// Whether a service of ours has said this, and not the transport.
pub(crate) fn is_told(status: &Status) -> bool {
    status.metadata().contains_key(CODE)
}

/// Whether a service of ours has no room for the call now.
pub(crate) fn is_saturated(status: &Status) -> bool {
    let code = status.metadata().get(CODE).and_then(|value| value.to_str().ok());
    code.and_then(|name| name.parse().ok()) == Some(ErrorCode::LimitExceeded)
}

/// What the client makes of a status. One without our code comes from the transport: the
/// service is out of reach, or a fault of ours. Its text names our network: users may see
/// the failure, so it goes to the log alone.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
pub(crate) fn to_failure(status: Status) -> Failure {
    let text = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
    let Some(code) = text(CODE).and_then(|name| name.parse().ok()) else {
        tracing::warn!(code = ?status.code(), reason = status.message(), "a call to another role failed");
        return match status.code() {
            Code::Internal | Code::InvalidArgument | Code::Unimplemented | Code::DataLoss => {
                Failure::internal("a call to an internal service failed")
            }
            _ => Failure::unavailable("an internal service is out of reach"),
        };
    };
    let retry_after = text(RETRY_AFTER_MS).and_then(|millis| millis.parse().ok()).map(Duration::from_millis);
    let can_upgrade = text(CAN_UPGRADE) == Some("true");
    let account_limit = text(INFO_URI).map(|info_uri| AccountLimit { info_uri: info_uri.to_owned(), can_upgrade });
    Failure { code, message: status.message().to_owned(), retry_after, account_limit }
}

/// Reads one field of a message; what cannot be read is a fault of the other instance.
pub(crate) fn parse<T>(text: &str) -> Result<T, Status>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Status::invalid_argument(format!("{text:?}: {error}")))
}

/// The same for a field that may be absent.
pub(crate) fn parse_optional<T>(text: Option<&str>) -> Result<Option<T>, Status>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.map(parse).transpose()
}

/// The status for a message without one of its required parts.
pub(crate) fn missing(field: &'static str) -> Status {
    Status::invalid_argument(format!("{field} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_survives_the_way_there_and_back() {
        for code in ErrorCode::ALL {
            let mut failure = Failure::new(code, "what happened").retry_after(Duration::from_millis(1500));
            failure.account_limit =
                Some(AccountLimit { info_uri: "https://a.example/more".to_owned(), can_upgrade: true });

            assert_eq!(to_failure(to_status(failure.clone())), failure);
        }
    }

    #[test]
    fn an_instance_that_ends_is_as_good_as_gone() {
        assert!(!is_told(&to_status(leaving())));
        assert!(is_told(&to_status(Failure::unavailable("the store is full"))));
    }

    #[test]
    fn a_lost_connection_is_unavailable_and_tells_nothing_of_our_network() {
        for (status, code) in [
            (Status::unavailable("connecting to 10.0.0.7 was refused"), ErrorCode::Unavailable),
            (Status::internal("10.0.0.7 speaks nonsense"), ErrorCode::Internal),
        ] {
            let failure = to_failure(status);

            assert_eq!(failure.code, code);
            assert!(!failure.message.contains("10.0.0.7"), "{failure}");
        }
    }
}
