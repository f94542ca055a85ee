//! Rates as settings: so much within a time.

use std::{str::FromStr, time::Duration};

use bytesize::ByteSize;
use toml::Value;

use crate::{Setting, value::show_size};

const UNLIMITED: &str = "unlimited";

/// So many within a time, or without a limit: `600/1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Option<(u64, Duration)>);

/// So many bytes within a time, or without a limit: `10 GiB/1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate(Option<(u64, Duration)>);

impl Rate {
    /// So many within a minute.
    pub const fn per_minute(count: u64) -> Self {
        Self(Some((count, Duration::from_mins(1))))
    }

    /// How many, and within which time; `None` without a limit.
    pub const fn get(self) -> Option<(u64, Duration)> {
        self.0
    }
}

impl ByteRate {
    /// So many bytes within an hour.
    pub const fn per_hour(bytes: u64) -> Self {
        Self(Some((bytes, Duration::from_hours(1))))
    }

    /// How many bytes, and within which time; `None` without a limit.
    pub const fn get(self) -> Option<(u64, Duration)> {
        self.0
    }
}

/// `amount/span`, both more than nothing, or the word for none.
fn read(value: &Value, kind: &str, amount: impl Fn(&str) -> Option<u64>) -> Result<Option<(u64, Duration)>, String> {
    match value.as_str() {
        Some(UNLIMITED) => Ok(None),
        text => {
            text.and_then(|text| parse(text, amount)).map(Some).ok_or_else(|| format!("must be {kind}, not {value}"))
        }
    }
}

fn parse(text: &str, amount: impl Fn(&str) -> Option<u64>) -> Option<(u64, Duration)> {
    let (count, span) = text.split_once('/')?;
    let span = Duration::read(&Value::String(span.trim().to_owned())).ok().filter(|span| !span.is_zero())?;
    Some((amount(count.trim()).filter(|amount| *amount > 0)?, span))
}

fn show(rate: Option<(u64, Duration)>, amount: impl Fn(u64) -> String) -> Value {
    let text = rate.map(|(count, span)| format!("{}/{}", amount(count), humantime::format_duration(span)));
    Value::String(text.unwrap_or_else(|| UNLIMITED.to_owned()))
}

impl Setting for Rate {
    fn read(value: &Value) -> Result<Self, String> {
        read(value, &Self::kind(), |count| u64::from_str(count).ok()).map(Self)
    }

    fn show(&self) -> Option<Value> {
        Some(show(self.0, |count| count.to_string()))
    }

    fn kind() -> String {
        "a rate such as \"600/1m\", or \"unlimited\"".to_owned()
    }
}

impl Setting for ByteRate {
    fn read(value: &Value) -> Result<Self, String> {
        let bytes = |size: &str| ByteSize::from_str(size).ok().map(|size| size.as_u64());
        read(value, &Self::kind(), bytes).map(Self)
    }

    fn show(&self) -> Option<Value> {
        Some(show(self.0, show_size))
    }

    fn kind() -> String {
        "a rate of bytes such as \"10 GiB/1h\", or \"unlimited\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_shown() {
        for text in ["600/1m", "1/30s", "unlimited"] {
            let value = Value::String(text.to_owned());
            assert_eq!(Rate::read(&value).unwrap().show(), Some(value));
        }
        for text in ["10 GiB/1h", "1 B/1day", "unlimited"] {
            let value = Value::String(text.to_owned());
            assert_eq!(ByteRate::read(&value).unwrap().show(), Some(value));
        }
    }

    #[test]
    fn what_is_no_rate_is_told() {
        for text in ["", "600", "600/", "/1m", "0/1m", "600/0s", "-1/1m", "1.5/1m", "none"] {
            let error = Rate::read(&Value::String(text.to_owned())).unwrap_err();
            assert!(error.contains("600/1m"), "{error}");
        }
        assert!(ByteRate::read(&Value::Integer(5)).is_err());
    }
}
