//! The URL of a bucket.

use crate::Key;

/// Where buckets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's, and all who speak its protocol.
    S3,
    /// Google's.
    Google,
    /// Microsoft's.
    Azure,
}

impl Cloud {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    /// How URLs of such buckets begin.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }

    /// What it is called in metrics and traces.
    pub const fn label(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "google",
            Self::Azure => "azure",
        }
    }
}

/// A bucket, and where in it our keys begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose.
    pub cloud: Cloud,
    /// Its name.
    pub name: String,
    /// Stands before every key.
    pub prefix: Option<Key>,
}

impl Bucket {
    /// `s3://bucket` or `s3://bucket/prefix`; a slash at the end is left out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let cloud = Cloud::ALL.into_iter().find(|cloud| cloud.scheme() == scheme)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = match prefix.strip_suffix('/').unwrap_or(prefix) {
            "" => None,
            prefix => Some(Key::new(prefix).ok()?),
        };
        is_name(name).then(|| Self { cloud, name: name.to_owned(), prefix })
    }
}

/// Each cloud has narrower rules of its own.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (3..=222).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}
