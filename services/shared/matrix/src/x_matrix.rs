//! The signature of a federation request: the `X-Matrix` header, written and read.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use heliograph_types::ServerName;
use ruma_common::CanonicalJsonValue;

use crate::{KeyId, SigningKey, base64};

/// A longer header is refused unread.
const LONGEST_HEADER: usize = 8 << 10;

/// What a signature covers. No media request has a body, so there is none here.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// In upper case.
    pub method: &'a str,
    /// Path and query exactly as on the request line.
    pub target: &'a str,
    /// Who asks.
    pub origin: &'a ServerName,
    /// Who is asked: the name before any delegation.
    pub destination: &'a ServerName,
}

impl SignedRequest<'_> {
    /// The canonical JSON that is signed.
    pub fn to_json(&self) -> String {
        let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
        let members = [
            ("method", text(self.method)),
            ("uri", text(self.target)),
            ("origin", text(self.origin.as_str())),
            ("destination", text(self.destination.as_str())),
        ];
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        CanonicalJsonValue::Object(members.collect()).to_string()
    }

    /// The value of the `Authorization` header that proves us to be the origin.
    pub fn sign(&self, key: &SigningKey) -> String {
        let signature = base64::encode(&key.sign(self.to_json().as_bytes()));
        let Self { origin, destination, .. } = self;
        format!(r#"X-Matrix origin="{origin}",destination="{destination}",key="{}",sig="{signature}""#, key.id())
    }

    /// Whether `signature` is that of `public_key`. A signature of the target without its
    /// final `?` counts too: matrix-media-repo signs so.
    pub fn is_signed_by(&self, public_key: &[u8; 32], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(public_key) else { return false };
        let signature = Signature::from_bytes(signature);
        let verifies = |request: &Self| key.verify_strict(request.to_json().as_bytes(), &signature).is_ok();
        let without_mark = self.target.strip_suffix('?').map(|target| Self { target, ..*self });
        verifies(self) || without_mark.is_some_and(|request| verifies(&request))
    }
}

/// What one `X-Matrix` header claims. Nothing of it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who says to ask.
    pub origin: ServerName,
    /// Who is asked; old servers leave it out.
    pub destination: Option<ServerName>,
    /// Which key of the origin signed.
    pub key_id: KeyId,
    /// The signature.
    pub signature: [u8; 64],
}

/// Why an `Authorization` header is no `X-Matrix` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    /// Another scheme.
    #[error("the authorization is not X-Matrix")]
    OtherScheme,
    /// Too long to be read.
    #[error("the X-Matrix header is longer than 8 KiB")]
    TooLong,
    /// The parameters cannot be read.
    #[error("the parameters of X-Matrix are malformed")]
    Malformed,
    /// A parameter is there twice.
    #[error("a parameter of X-Matrix is there twice")]
    Duplicate,
    /// A parameter is absent, or its value cannot be right.
    #[error("{0} of X-Matrix is missing or invalid")]
    Parameter(&'static str),
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    pub fn parse(header: &str) -> Result<Self, InvalidCredentials> {
        if header.len() > LONGEST_HEADER {
            return Err(InvalidCredentials::TooLong);
        }
        let (scheme, parameters) = header.trim_matches(BLANKS).split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("x-matrix") {
            return Err(InvalidCredentials::OtherScheme);
        }
        let parameters = parse_parameters(parameters)?;
        let get = |name: &'static str| parameters.get(name).map(String::as_str);
        let need = InvalidCredentials::Parameter;
        let destination = get("destination").map(|name| name.parse().map_err(|_| need("destination"))).transpose()?;
        Ok(Self {
            origin: get("origin").and_then(|name| name.parse().ok()).ok_or(need("origin"))?,
            destination,
            key_id: get("key").and_then(|id| id.parse().ok()).ok_or(need("key"))?,
            signature: get("sig").or_else(|| get("signature")).and_then(base64::decode).ok_or(need("sig"))?,
        })
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// `name=value` pairs between commas; names in lower case. Empty elements are ignored, as
/// RFC 9110 wants of lists.
fn parse_parameters(text: &str) -> Result<BTreeMap<String, String>, InvalidCredentials> {
    let mut parameters = BTreeMap::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        if let Some(after_comma) = rest.strip_prefix(',') {
            rest = after_comma.trim_start_matches(BLANKS);
            continue;
        }
        let (name, after_name) = rest.split_once('=').ok_or(InvalidCredentials::Malformed)?;
        let name = name.trim_end_matches(BLANKS);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(InvalidCredentials::Malformed);
        }
        let (value, after_value) = parse_value(after_name.trim_start_matches(BLANKS))?;
        if parameters.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(InvalidCredentials::Duplicate);
        }
        rest = after_value.trim_start_matches(BLANKS);
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(InvalidCredentials::Malformed);
        }
    }
    Ok(parameters)
}

/// A quoted string or a token, and what comes after it. Old servers do not quote values
/// with colons, slashes or brackets, so a token is here whatever ends at a comma.
fn parse_value(text: &str) -> Result<(String, &str), InvalidCredentials> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        let value = value.trim_end_matches(BLANKS);
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let is_token = !value.is_empty() && value.bytes().all(allowed);
        return if is_token { Ok((value.to_owned(), rest)) } else { Err(InvalidCredentials::Malformed) };
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[index + 1..])),
            '\\' => value.push(characters.next().ok_or(InvalidCredentials::Malformed)?.1),
            other => value.push(other),
        }
    }
    Err(InvalidCredentials::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &str = "ZIOxrp150s5bKKaCHV0NVWkyhwRSLZrt/IpuQjTKXtnYsDGQ7tnGU82TXVDR2SW+EaGsUuZzMILnXJ0FTWxVBQ";
    const TARGET: &str = "/_matrix/federation/v1/media/download/AbC_123-x?timeout_ms=20000";

    fn key() -> SigningKey {
        let seed = base64::decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
        SigningKey::new("ed25519:1".parse().unwrap(), seed)
    }

    fn name(text: &str) -> ServerName {
        text.parse().unwrap()
    }

    #[test]
    fn bytes_are_signed_as_in_the_appendices() {
        let sign = |json: &str| base64::encode(&key().sign(json.as_bytes()));

        assert_eq!(
            sign("{}"),
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
        );
        assert_eq!(
            sign(r#"{"one":1,"two":"Two"}"#),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
        );
    }

    #[test]
    fn a_request_has_the_header_and_the_signature_of_the_vector() {
        let (origin, destination) = (name("origin.example"), name("media.example"));
        let request = SignedRequest { method: "GET", target: TARGET, origin: &origin, destination: &destination };

        assert_eq!(
            request.to_json(),
            format!(r#"{{"destination":"media.example","method":"GET","origin":"origin.example","uri":"{TARGET}"}}"#)
        );
        assert_eq!(
            request.sign(&key()),
            format!(
                r#"X-Matrix origin="origin.example",destination="media.example",key="ed25519:1",sig="{SIGNATURE}""#
            )
        );
    }

    #[test]
    fn names_with_ports_and_brackets_are_signed_as_they_are() {
        let (origin, destination) = (name("origin.example:8448"), name("[2001:db8::1]:8448"));
        let target = "/_matrix/federation/v1/media/thumbnail/AbC_123-x?width=64&height=64&method=crop&animated=false&timeout_ms=5000";
        let request = SignedRequest { method: "GET", target, origin: &origin, destination: &destination };

        let header = request.sign(&key());

        assert!(header.ends_with(
            r#"sig="SU8fG1OvF2o/aDUQGx4gGQ2PhxyGaBbxayCyKK81PLEBk3+S9o1JogtD1u96dZKZVYwVWk+g7gIpNWNHL5X2Dw""#
        ));
        let read = Credentials::parse(&header).unwrap();
        assert_eq!((read.origin, read.destination), (origin, Some(destination)));
    }

    #[test]
    fn a_signature_holds_for_its_own_request_alone() {
        let (origin, destination) = (name("origin.example"), name("media.example"));
        let request = SignedRequest { method: "GET", target: TARGET, origin: &origin, destination: &destination };
        let signature = base64::decode(SIGNATURE).unwrap();

        assert!(request.is_signed_by(&key().public_key(), &signature));
        assert!(!SignedRequest { method: "PUT", ..request }.is_signed_by(&key().public_key(), &signature));
        assert!(!SignedRequest { target: "/x", ..request }.is_signed_by(&key().public_key(), &signature));
        assert!(!SignedRequest { origin: &destination, ..request }.is_signed_by(&key().public_key(), &signature));
        assert!(!request.is_signed_by(&SigningKey::generate().public_key(), &signature));
        assert!(!request.is_signed_by(&[0; 32], &[0; 64]), "a weak key signs everything");
    }

    #[test]
    fn a_final_question_mark_may_be_left_out_of_the_signature() {
        let (origin, destination) = (name("origin.example"), name("media.example"));
        let signed = SignedRequest { method: "GET", target: "/a", origin: &origin, destination: &destination };
        let signature = key().sign(signed.to_json().as_bytes());

        assert!(SignedRequest { target: "/a?", ..signed }.is_signed_by(&key().public_key(), &signature));
        assert!(!SignedRequest { target: "/a??", ..signed }.is_signed_by(&key().public_key(), &signature));
    }

    #[test]
    fn every_spelling_that_software_sends_is_read() {
        let expected = Credentials {
            origin: name("o.example:8448"),
            destination: Some(name("d.example")),
            key_id: "ed25519:1".parse().unwrap(),
            signature: base64::decode(SIGNATURE).unwrap(),
        };
        for header in [
            format!(r#"X-Matrix origin="o.example:8448",destination="d.example",key="ed25519:1",sig="{SIGNATURE}""#),
            format!("X-Matrix origin=o.example:8448,destination=d.example,key=ed25519:1,sig={SIGNATURE}"),
            format!(
                "x-MATRIX   sig=\"{SIGNATURE}==\" ,\tKEY=\"ed25519:1\" , Origin = o.example:8448, Destination=\"d.example\", new=1"
            ),
            format!(
                r#"X-Matrix origin="o.ex\ample:8448",destination="d.example",key="ed25519:1",signature="{SIGNATURE}","#
            ),
            format!(
                r#"X-Matrix ,origin="o.example:8448",destination="d.example",key="ed25519:1",sig="{SIGNATURE}",signature="x",odd="a,b=\"c""#
            ),
        ] {
            assert_eq!(Credentials::parse(&header).as_ref(), Ok(&expected), "{header}");
        }
    }

    #[test]
    fn the_destination_may_be_absent() {
        let header = format!("X-Matrix origin=o.example,key=ed25519:1,sig={SIGNATURE}");

        assert_eq!(Credentials::parse(&header).map(|read| read.destination), Ok(None));
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        use InvalidCredentials as Invalid;
        let rest = format!("key=ed25519:1,sig={SIGNATURE}");
        for (header, error) in [
            (String::new(), Invalid::OtherScheme),
            ("Bearer abc".to_owned(), Invalid::OtherScheme),
            ("X-Matrix".to_owned(), Invalid::Parameter("origin")),
            (format!("X-Matrix origin=a,origin=b,{rest}"), Invalid::Duplicate),
            (format!("X-Matrix origin=a,ORIGIN=a,{rest}"), Invalid::Duplicate),
            (format!("X-Matrix origin=a b,{rest}"), Invalid::Malformed),
            (format!(r#"X-Matrix origin="a,{rest}"#), Invalid::Malformed),
            (format!(r#"X-Matrix origin="a"x,{rest}"#), Invalid::Malformed),
            (r#"X-Matrix origin="a\"#.to_owned(), Invalid::Malformed),
            (format!("X-Matrix origin,{rest}"), Invalid::Malformed),
            (format!("X-Matrix origin=,{rest}"), Invalid::Malformed),
            (format!("X-Matrix origin=a/b,{rest}"), Invalid::Parameter("origin")),
            (format!("X-Matrix origin=a,destination=a/b,{rest}"), Invalid::Parameter("destination")),
            (format!("X-Matrix origin=a,key=rsa:1,sig={SIGNATURE}"), Invalid::Parameter("key")),
            ("X-Matrix origin=a,key=ed25519:1,sig=AAAA".to_owned(), Invalid::Parameter("sig")),
            (format!("X-Matrix origin=a,{rest},x={}", "y".repeat(8 << 10)), Invalid::TooLong),
        ] {
            assert_eq!(Credentials::parse(&header), Err(error), "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_back_and_verifies(
            host in r"[a-z0-9]([a-z0-9.-]?[a-z0-9]){0,8}|\[::1\]",
            port in proptest::option::of(1_u16..),
            target in "/[!-~]{0,30}",
            spaces in "[ \t]{0,3}",
        ) {
            let origin = name(&port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")));
            let destination = name("media.example");
            let request = SignedRequest { method: "GET", target: &target, origin: &origin, destination: &destination };
            let header = request.sign(&key()).replace(',', &format!("{spaces},{spaces}"));

            let read = Credentials::parse(&header).unwrap();

            prop_assert!(request.is_signed_by(&key().public_key(), &read.signature));
            prop_assert_eq!((read.origin, read.destination, read.key_id), (origin.clone(), Some(destination.clone()), key().id().clone()));
        }

        #[test]
        fn reading_never_panics(header in r#"(X-Matrix )?([a-z]{0,6}|[=", \\]|\PC){0,40}"#) {
            let _ = Credentials::parse(&header);
        }
    }
}
