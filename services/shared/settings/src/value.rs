//! How each type of value is read from TOML, and shown.
//!
//! A string is understood by every type: that is how the environment gives values.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use bytesize::ByteSize;
use heliograph_types::{
    Mxc, Secret, ServerName, StoreName, ThumbnailBox, ThumbnailFormat, ThumbnailSpec, Timestamp, UserId,
};
use ipnet::IpNet;
use toml::Value;
use url::Url;

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads a value; the error says what would be right.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as TOML; `None` if it is absent.
    fn show(&self) -> Option<Value>;

    /// What a value looks like, in words.
    fn kind() -> String;
}

/// Types that are written as text.
macro_rules! text_setting {
    ($($kind:ty, $words:literal, $show:expr;)+) => { $(
        impl Setting for $kind {
            fn read(value: &Value) -> Result<Self, String> {
                let expected = || format!("must be {}, not {value}", $words);
                value.as_str().ok_or_else(expected)?.parse().map_err(|_| expected())
            }

            fn show(&self) -> Option<Value> {
                let show: fn(&Self) -> String = $show;
                Some(Value::String(show(self)))
            }

            fn kind() -> String {
                $words.to_owned()
            }
        }
    )+ };
}

text_setting! {
    IpAddr, "an IP address", ToString::to_string;
    IpNet, "an address range such as \"10.0.0.0/8\"", ToString::to_string;
    Mxc, "an mxc URI such as \"mxc://example.org/id\"", ToString::to_string;
    PathBuf, "a path", |path| path.display().to_string();
    ServerName, "a server name such as \"example.org\"", ToString::to_string;
    SocketAddr, "an address and port such as \"127.0.0.1:8000\"", ToString::to_string;
    StoreName, "the name of a store such as \"eu\": at most 32 of a-z, 0-9 and -", ToString::to_string;
    String, "text", Clone::clone;
    ThumbnailBox, "a box such as \"320x240\"", ToString::to_string;
    ThumbnailFormat, "\"webp\" or \"avif\"", ToString::to_string;
    ThumbnailSpec, "a thumbnail such as \"96x96-crop\"", ToString::to_string;
    Url, "a URL", ToString::to_string;
    UserId, "a user id such as \"@alice:example.org\"", ToString::to_string;
}

/// Types that are written as a number; `$min` to `$max`, both allowed.
macro_rules! number_setting {
    ($($kind:ty, $words:literal;)+) => { $(
        impl Setting for $kind {
            fn read(value: &Value) -> Result<Self, String> {
                let text = match value {
                    Value::Integer(number) => number.to_string(),
                    Value::String(text) => text.clone(),
                    _ => String::new(),
                };
                text.parse().map_err(|_| format!("must be {}, not {value}", $words))
            }

            fn show(&self) -> Option<Value> {
                self.to_string().parse().ok().map(Value::Integer)
            }

            fn kind() -> String {
                $words.to_owned()
            }
        }
    )+ };
}

number_setting! {
    NonZeroU32, "a whole number from 1 to 4294967295";
    NonZeroUsize, "a whole number, at least 1";
    u8, "a whole number from 0 to 255";
    u16, "a whole number from 0 to 65535";
    u32, "a whole number from 0 to 4294967295";
    u64, "a whole number";
    usize, "a whole number";
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(format!("must be true or false, not {value}")),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }

    fn kind() -> String {
        "true or false".to_owned()
    }
}

/// The longest span: added to the present it is still a time, on every clock.
const CENTURY: Duration = Duration::from_hours(100 * 366 * 24);

impl Setting for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        let expected = || format!("must be a time span such as \"30s\" or \"24h\", at most 100 years, not {value}");
        let span = humantime::parse_duration(value.as_str().ok_or_else(expected)?).ok();
        span.filter(|span| *span <= CENTURY).ok_or_else(expected)
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(humantime::format_duration(*self).to_string()))
    }

    fn kind() -> String {
        "a time span such as \"30s\"".to_owned()
    }
}

impl Setting for Timestamp {
    fn read(value: &Value) -> Result<Self, String> {
        let expected = || format!("must be {}, not {value}", Self::kind());
        let text = match value {
            Value::Datetime(time) => time.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(expected()),
        };
        let time = humantime::parse_rfc3339_weak(&text).map_err(|_| expected())?;
        let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| expected())?;
        u64::try_from(since_epoch.as_millis()).map(Self::from_millis).map_err(|_| expected())
    }

    fn show(&self) -> Option<Value> {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.as_millis()))?;
        Some(Value::String(humantime::format_rfc3339_seconds(time).to_string()))
    }

    fn kind() -> String {
        "a time such as \"2026-01-01T00:00:00Z\" (UTC)".to_owned()
    }
}

impl Setting for ByteSize {
    fn read(value: &Value) -> Result<Self, String> {
        let expected = || format!("must be a size such as \"100 MiB\", not {value}");
        match value {
            Value::Integer(bytes) => u64::try_from(*bytes).map(ByteSize).map_err(|_| expected()),
            Value::String(text) => text.parse().map_err(|_| expected()),
            _ => Err(expected()),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(show_size(self.as_u64())))
    }

    fn kind() -> String {
        "a size such as \"100 MiB\"".to_owned()
    }
}

/// The shortest exact form.
pub(crate) fn show_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes} B"), |(size, name)| format!("{} {name}", bytes / size))
}

impl Setting for Secret<String> {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_str().map(|text| Self::new(text.to_owned())).ok_or_else(|| "must be text".to_owned())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String("<secret>".to_owned()))
    }

    fn kind() -> String {
        "text, never shown".to_owned()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().and_then(Setting::show)
    }

    fn kind() -> String {
        T::kind()
    }
}

/// A list. From the environment: comma-separated.
impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(values) => values.iter().map(T::read).collect(),
            Value::String(text) => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| T::read(&Value::String(part.to_owned())))
                .collect(),
            _ => Err(format!("must be a list, each {}, not {value}", T::kind())),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(Setting::show).collect()))
    }

    fn kind() -> String {
        format!("a list, each {}", T::kind())
    }
}

/// Declares an enum whose values are words of a setting.
///
/// ```
/// heliograph_settings::choice! {
///     /// How logs look.
///     pub enum LogFormat {
///         /// For people.
///         Human = "human",
///         /// For machines.
///         Json = "json",
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident { $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $variant_doc])+ $variant, )+ }

        impl $crate::Setting for $name {
            fn read(value: &$crate::toml::Value) -> ::std::result::Result<Self, ::std::string::String> {
                match value.as_str() {
                    $( ::std::option::Option::Some($word) => ::std::result::Result::Ok(Self::$variant), )+
                    _ => ::std::result::Result::Err(::std::format!("must be {}, not {value}", Self::kind())),
                }
            }

            fn show(&self) -> ::std::option::Option<$crate::toml::Value> {
                ::std::option::Option::Some($crate::toml::Value::String(match self { $( Self::$variant => $word, )+ }.to_owned()))
            }

            fn kind() -> ::std::string::String {
                [$( concat!("\"", $word, "\"") ),+].join(" or ")
            }
        }
    };
}
