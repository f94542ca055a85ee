//! Query parameters and path segments (specification 2.5 rules of ours: the first of a
//! repeated parameter wins, unknown ones are ignored, values are strict).

use std::{borrow::Cow, str::FromStr, time::Duration};

use actix_web::HttpRequest;
use heliograph_types::{ErrorCode, Failure, Mxc, StoreName};
use percent_encoding::percent_decode_str;

use crate::{auth::Signer, error::ApiError, routes::find_segment, server::Front};

/// What `timeout_ms` is when it is absent.
const DEFAULT_WAIT: Duration = Duration::from_secs(20);

/// The parameters of one request.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn of(request: &'a HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    /// Reads what is behind the `?` of a target.
    pub(crate) fn parse(text: &'a str) -> Self {
        Self(text.split('&').filter(|pair| !pair.is_empty()).map(decode_pair).collect())
    }

    /// The value of the first parameter that has the first of these names which occurs.
    pub(crate) fn find(&self, names: &[&str]) -> Option<&str> {
        let value = |name: &&str| self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        names.iter().find_map(value)
    }

    /// Exactly `true` or `false`.
    pub(crate) fn find_bool(&self, names: &[&str]) -> Result<Option<bool>, ApiError> {
        self.find(names)
            .map(|value| match value {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(invalid(names[0], "true or false")),
            })
            .transpose()
    }

    /// A whole number, at least `least`; larger than 64 bits is out of range.
    pub(crate) fn find_number(&self, names: &[&str], least: u64) -> Result<Option<u64>, ApiError> {
        let parse = |value: &str| {
            let digits = value.strip_prefix('+').unwrap_or(value);
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
            number
                .filter(|number| *number >= least)
                .ok_or_else(|| invalid(names[0], &format!("a whole number from {least}")))
        };
        self.find(names).map(parse).transpose()
    }

    /// How long a page may be that an administrator asks for, by `limit`. A larger one is cut.
    pub(crate) fn page_limit(&self, least: u64) -> Result<u64, ApiError> {
        const DEFAULT: u64 = 100;
        const MOST: u64 = 1000;
        Ok(self.find_number(&["limit"], least)?.unwrap_or(DEFAULT).min(MOST))
    }

    /// A whole number that must be there.
    pub(crate) fn get_number(&self, name: &str, least: u64) -> Result<u64, ApiError> {
        self.find_number(&[name], least)?
            .ok_or_else(|| ApiError::new(ErrorCode::MissingParam, format!("{name} is missing")))
    }

    /// How long the caller wants to wait for content (`timeout_ms`), at most `longest`.
    pub(crate) fn wait(&self, longest: Duration) -> Result<Duration, ApiError> {
        let names = ["timeout_ms", "fi.mau.msc2246.timeout_ms", "fi.mau.msc2246.max_stall_ms"];
        let asked = self.find_number(&names, 0)?.map_or(DEFAULT_WAIT, Duration::from_millis);
        Ok(asked.min(longest))
    }
}

fn decode_pair(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decode_form(name), decode_form(value))
}

/// In a query a space may be written as `+`.
fn decode_form(text: &str) -> Cow<'_, str> {
    if text.contains('+') { decode(&text.replace('+', " ")).into_owned().into() } else { decode(text) }
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn invalid(name: &str, expected: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidParam, format!("{name} must be {expected}"))
}

/// The store that content is to be put into, if it is not the usual one: an extension of ours, for
/// points of presence.
pub(crate) fn store(request: &HttpRequest) -> Result<Option<StoreName>, ApiError> {
    let query = Query::of(request);
    let name = query.find(&["org.heliograph.store"]);
    name.map(|name| name.parse().map_err(|_| invalid("org.heliograph.store", "the name of a store"))).transpose()
}

/// The medium that the path names. What is not valid is not found: nobody has it.
pub(crate) fn mxc(request: &HttpRequest) -> Result<Mxc, ApiError> {
    Ok(Mxc { server_name: segment(request, "server_name")?, media_id: segment(request, "media_id")? })
}

/// The medium that the path names, if it is one of our server names.
pub(crate) fn own_mxc(front: &Front, request: &HttpRequest) -> Result<Mxc, ApiError> {
    let mxc = mxc(request)?;
    if front.is_ours(&mxc.server_name) { Ok(mxc) } else { Err(Failure::not_found().into()) }
}

/// The medium that another server asks for: of the server name that it has asked.
pub(crate) fn signed_mxc(request: &HttpRequest, signer: &Signer) -> Result<Mxc, ApiError> {
    let media_id = segment(request, "media_id")?;
    let named = text_segment(request, "server_name");
    if named.is_some_and(|named| named != signer.destination.as_str()) {
        return Err(Failure::not_found().into());
    }
    Ok(Mxc { server_name: signer.destination.clone(), media_id })
}

/// One segment of the path, decoded once and checked.
pub(crate) fn segment<T: FromStr>(request: &HttpRequest, name: &str) -> Result<T, ApiError> {
    find_segment(request, name, |raw| decode(raw).parse().ok())
        .flatten()
        .ok_or_else(|| ApiError::Failure(Failure::not_found()))
}

/// One segment of the path, decoded once.
pub(crate) fn text_segment(request: &HttpRequest, name: &str) -> Option<String> {
    find_segment(request, name, |raw| decode(raw).into_owned())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Query<'_> {
        Query::parse(text)
    }

    #[test]
    fn the_first_of_a_repeated_parameter_wins() {
        assert_eq!(query("a=1&a=2").find(&["a"]), Some("1"));
    }

    #[test]
    fn the_stable_name_outranks_the_prefixed_one() {
        assert_eq!(query("x.a=1&a=2").find(&["a", "x.a"]), Some("2"));
        assert_eq!(query("x.a=1").find(&["a", "x.a"]), Some("1"));
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        assert_eq!(query("f%69le=a+b%2Bc%2541").find(&["file"]), Some("a b+c%41"));
    }

    #[test]
    fn numbers_are_digits_within_range() {
        for text in ["n=1.5", "n=1e3", "n=", "n=-1", "n=%201", "n=18446744073709551616", "n=0", "n=%2B"] {
            assert!(query(text).find_number(&["n"], 1).is_err(), "{text}");
        }
        assert_eq!(query("n=%2B7").find_number(&["n"], 1).unwrap(), Some(7));
        assert_eq!(query("").find_number(&["n"], 1).unwrap(), None);
    }

    #[test]
    fn a_wait_has_a_default_and_a_ceiling() {
        let longest = Duration::from_mins(1);

        assert_eq!(query("").wait(longest).unwrap(), Duration::from_secs(20));
        assert_eq!(query("timeout_ms=0").wait(longest).unwrap(), Duration::ZERO);
        assert_eq!(query("timeout_ms=99999999").wait(longest).unwrap(), longest);
        assert!(query("timeout_ms=-1").wait(longest).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_out_as_it_was(name in "[a-z_.]{1,8}", value in any::<String>(), noise in "[a-z=&%+]{0,20}") {
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            let text = format!("{name}={encoded}&{noise}");
            let query = query(&text);

            prop_assert_eq!(query.find(&[name.as_str()]), Some(value.as_str()));
        }

        #[test]
        fn no_query_is_read_as_more_than_it_says(text in "(n|=|&|%|[0-9]|[+-]|%2B|%00|%ff|true|false|timeout_ms=){0,12}") {
            let query = query(&text);

            let longest = Duration::from_mins(1);
            if let Ok(wait) = query.wait(longest) {
                prop_assert!(wait <= longest);
            }
            if let Ok(Some(number)) = query.find_number(&["n"], 3) {
                prop_assert!(number >= 3);
                prop_assert!(query.find(&["n"]).is_some_and(|value| value.trim_start_matches(['+', '0']) == number.to_string()));
            }
            if let Ok(Some(is_true)) = query.find_bool(&["n"]) {
                prop_assert_eq!(query.find(&["n"]), Some(if is_true { "true" } else { "false" }));
            }
        }
    }
}
