//! Who was logged out, as instances tell each other.

use std::{fmt, str::FromStr};

use heliograph_types::UserId;

use crate::token::Digest;

/// Of whom nothing is believed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoggedOut {
    /// The token with this digest.
    Token(Digest),
    /// Every token of a user.
    User(UserId),
}

/// The text is not about anybody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidLoggedOut;

impl fmt::Display for LoggedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(digest) => write!(f, "token:{}", hex::encode(digest)),
            Self::User(user_id) => write!(f, "user:{user_id}"),
        }
    }
}

impl FromStr for LoggedOut {
    type Err = InvalidLoggedOut;

    fn from_str(text: &str) -> Result<Self, InvalidLoggedOut> {
        let parsed = match text.split_once(':').ok_or(InvalidLoggedOut)? {
            ("token", digest) => decode_digest(digest).map(Self::Token),
            ("user", user_id) => user_id.parse().ok().map(Self::User),
            _ => None,
        };
        parsed.ok_or(InvalidLoggedOut)
    }
}

fn decode_digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_instance_tells_another_understands() {
        for who in [LoggedOut::Token([7; 32]), LoggedOut::User("@a:b.example:8448".parse().unwrap())] {
            assert_eq!(who.to_string().parse(), Ok(who));
        }
        for nonsense in ["", "token:", "token:07", "user:alice", "room:!a:b.example"] {
            assert_eq!(nonsense.parse::<LoggedOut>(), Err(InvalidLoggedOut), "{nonsense}");
        }
    }
}
