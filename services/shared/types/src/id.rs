//! Identifiers. Each can only be valid: whoever holds one need not check it again.

use std::{fmt, str::FromStr, sync::Arc};

use rand::{RngExt, distr::Alphanumeric};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not a valid identifier of the kind that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The name of a server, `hostname[:port]` (specification appendices, server name).
/// Two names that differ in case are two servers.
///
/// Stricter than the grammar where the grammar allows what nobody can reach or what would
/// be dangerous in a key: ports above 65535, empty host labels, more than 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Arc<str>);
text_id!(ServerName);

impl ServerName {
    /// The part before the port, with the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        split_port(&self.0).0
    }

    /// The port, if the name has one.
    pub fn port(&self) -> Option<u16> {
        split_port(&self.0).1.and_then(|port| port.parse().ok())
    }
}

/// Splits `host[:port]`; colons inside brackets belong to the host.
fn split_port(name: &str) -> (&str, Option<&str>) {
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains(']') => (&name[..colon], Some(&name[colon + 1..])),
        _ => (name, None),
    }
}

impl FromStr for ServerName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = Err(InvalidId("not a valid server name"));
        if text.len() > 255 || <&ruma_common::ServerName>::try_from(text).is_err() {
            return invalid;
        }
        let (host, port) = split_port(text);
        if host.starts_with('.') || host.contains("..") || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return invalid;
        }
        Ok(Self(text.into()))
    }
}

/// The opaque half of an `mxc://` URI: 1 to 255 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId(Arc<str>);
text_id!(MediaId);

impl MediaId {
    /// A new id that cannot be guessed: 32 letters and digits, 190 bits.
    pub fn random() -> Self {
        let id: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
        Self(id.into())
    }
}

impl FromStr for MediaId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId("not a valid media id"))
        }
    }
}

const PREVIEWS: &str = "@_heliograph_previews:";

/// A Matrix user id, `@localpart:server`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);
text_id!(UserId);

impl UserId {
    /// In whose name the pictures of URL previews are kept. Homeservers give no account a name
    /// that begins so.
    pub fn of_previews(server_name: &ServerName) -> Result<Self, InvalidId> {
        format!("{PREVIEWS}{server_name}").parse()
    }

    /// Whether this is nobody but [`Self::of_previews`], whose room is not counted.
    pub fn is_of_previews(&self) -> bool {
        self.0.starts_with(PREVIEWS)
    }

    /// The text after the first colon: the server that the user belongs to.
    pub fn server_name(&self) -> ServerName {
        let (_, server) = self.0.split_once(':').unwrap_or_default();
        ServerName(server.into())
    }
}

impl FromStr for UserId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId("not a valid user id");
        let (localpart, server) =
            text.strip_prefix('@').and_then(|rest| rest.split_once(':')).ok_or(invalid.clone())?;
        if text.len() > 255 || localpart.chars().any(char::is_control) || server.parse::<ServerName>().is_err() {
            return Err(invalid);
        }
        Ok(Self(text.into()))
    }
}

/// The name of one of several stores: 1 to 32 of `a-z 0-9 -`, given by the operator.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(Arc<str>);
text_id!(StoreName);

impl FromStr for StoreName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId("not a valid name of a store: 1 to 32 of a-z, 0-9 and -"))
        }
    }
}

/// One medium: the server that owns it and the id that the server gave it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mxc {
    /// Who owns it.
    pub server_name: ServerName,
    /// Its id there.
    pub media_id: MediaId,
}

impl fmt::Display for Mxc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mxc://{}/{}", self.server_name, self.media_id)
    }
}

impl fmt::Debug for Mxc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mxc {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (server_name, media_id) = text
            .strip_prefix("mxc://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(InvalidId("not a valid mxc URI"))?;
        Ok(Self { server_name: server_name.parse()?, media_id: media_id.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn server_names_follow_the_grammar() {
        for name in ["example.org", "a.example:8448", "1.2.3.4", "[2001:db8::1]", "[::1]:443", "localhost", "A.example"]
        {
            assert_eq!(name.parse::<ServerName>().map(|parsed| parsed.to_string()).as_deref(), Ok(name));
        }
        let long = format!("{}.org", "a".repeat(252));
        for name in
            ["", "..", ".a", "a..b", "a/b", "a b", "ä.org", "a:70000", "a:", "[::1", "under_score.org", "a%2e", &long]
        {
            assert!(name.parse::<ServerName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let parts = |name: &str| name.parse::<ServerName>().map(|name| (name.host().to_owned(), name.port()));

        assert_eq!(parts("[::1]:443"), Ok(("[::1]".to_owned(), Some(443))));
        assert_eq!(parts("[::1]"), Ok(("[::1]".to_owned(), None)));
        assert_eq!(parts("a.b:1"), Ok(("a.b".to_owned(), Some(1))));
    }

    #[test]
    fn media_ids_are_an_allow_list() {
        for id in ["a", "AbC_123-x", &"x".repeat(255)] {
            assert!(id.parse::<MediaId>().is_ok(), "{id}");
        }
        for id in ["", "..", "a.b", "a~b", "a%20", "ä", "a/b", "a\0", &"x".repeat(256)] {
            assert!(id.parse::<MediaId>().is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_random_media_id_is_valid_and_long() {
        let id = MediaId::random();

        assert_eq!(id.as_str().len(), 32);
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn the_server_of_a_user_is_what_follows_the_first_colon() {
        assert_eq!(
            "@a:b.org:80".parse::<UserId>().map(|user| user.server_name().to_string()).as_deref(),
            Ok("b.org:80")
        );
        for text in ["a:b", "@a", "@a:", "@a:..", "@a\n:b"] {
            assert!(text.parse::<UserId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_mxc_uri_has_exactly_two_parts() {
        assert_eq!("mxc://a.org/x".parse::<Mxc>().map(|mxc| mxc.to_string()).as_deref(), Ok("mxc://a.org/x"));
        for text in ["mxc://a.org", "mxc://a.org/", "mxc://a.org/x/y", "mxc://a.org/x?y", "http://a.org/x"] {
            assert!(text.parse::<Mxc>().is_err(), "{text}");
        }
    }

    /// Pieces of names, so that some of what they make up is one.
    fn hostile() -> impl Strategy<Value = String> {
        r"(a|b\.c|1\.2\.3\.4|\[::1\]|:|:80|65535|65536|@|/|mxc://|\.|\.\.|%2e|-|_|\x00|\n|ä|\PC){0,8}"
    }

    proptest! {
        #[test]
        fn a_server_name_holds_nothing_that_means_something_elsewhere(text in hostile()) {
            if let Ok(name) = text.parse::<ServerName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte)), "{text}");
                prop_assert!(!text.contains("..") && !text.starts_with('.') && text.len() <= 255);
                let port = name.port().map(|port| format!("{}:{port}", name.host()));
                // A port may have zeros in front.
                prop_assert!(port.is_none_or(|whole| whole.len() <= text.len()) && !name.host().is_empty());
            }
        }

        #[test]
        fn a_media_id_is_letters_digits_and_two_signs(text in r"[A-Za-z0-9_-]{0,4}|\PC{0,4}") {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));

            prop_assert_eq!(text.parse::<MediaId>().is_ok(), is_plain && !text.is_empty());
        }

        #[test]
        fn users_have_a_server_and_uris_two_parts(text in hostile()) {
            if let Ok(user) = text.parse::<UserId>() {
                prop_assert!(user.server_name().as_str().parse::<ServerName>().is_ok());
                prop_assert!(!text.chars().any(char::is_control));
            }
            if let Ok(mxc) = text.parse::<Mxc>() {
                prop_assert_eq!(mxc.to_string(), text);
            }
        }
    }
}
