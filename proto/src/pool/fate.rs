//! What became of a call that ended with a status.

use std::error::Error;

use h2::Reason;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::status::is_told;

/// What a status says of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The service has answered, if only to refuse.
    Answered,
    /// It has not begun: the instance was not reached, or turned the call away unseen.
    Unsent,
    /// The connection broke, or the instance ends: nobody knows how far it got.
    Broken,
}

impl Fate {
    pub(super) fn of(status: &Status) -> Self {
        if is_told(status) {
            return Self::Answered;
        }
        let Some(source) = status.source() else {
            // Said by the other side: by who ends, or by something between us.
            return if status.code() == Code::Unavailable { Self::Broken } else { Self::Answered };
        };
        let mut fate = Self::Broken;
        let mut cause: Option<&(dyn Error + 'static)> = Some(source);
        while let Some(error) = cause {
            fate = look(error).unwrap_or(fate);
            cause = error.source();
        }
        fate
    }
}

fn look(error: &(dyn Error + 'static)) -> Option<Fate> {
    if error.is::<TimeoutExpired>() {
        return Some(Fate::Answered);
    }
    if error.is::<ConnectError>() {
        return Some(Fate::Unsent);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // The connection was closed with the call still waiting to be written.
        return error.is_canceled().then_some(Fate::Unsent);
    }
    let error = error.downcast_ref::<h2::Error>()?;
    // A server that ends in order says which calls it still answers, and this was none of them. It
    // may say so of one that it had begun if it is killed while it ends; that is rare, and costs
    // what a lost answer costs.
    let is_farewell = error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    (is_farewell || error.reason() == Some(Reason::REFUSED_STREAM)).then_some(Fate::Unsent)
}

#[cfg(test)]
mod tests {
    use std::io;

    use heliograph_types::Failure;

    use super::*;
    use crate::status::{leaving, to_status};

    #[test]
    fn what_a_service_says_is_an_answer_unless_it_says_that_it_ends() {
        assert_eq!(Fate::of(&to_status(Failure::unavailable("the store is full"))), Fate::Answered);
        assert_eq!(Fate::of(&Status::invalid_argument("no mxc")), Fate::Answered);
        assert_eq!(Fate::of(&to_status(leaving())), Fate::Broken);
    }

    #[test]
    fn what_was_not_sent_is_told_from_what_may_have_been() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);

        assert_eq!(Fate::of(&Status::from_error(Box::new(ConnectError(refused().into())))), Fate::Unsent);
        assert_eq!(Fate::of(&Status::from_error(h2::Error::from(Reason::REFUSED_STREAM).into())), Fate::Unsent);
        assert_eq!(Fate::of(&Status::from_error(h2::Error::from(Reason::INTERNAL_ERROR).into())), Fate::Broken);
        assert_eq!(Fate::of(&Status::from_error(refused().into())), Fate::Broken);
        assert_eq!(Fate::of(&Status::from_error(TimeoutExpired(()).into())), Fate::Answered);
    }
}
