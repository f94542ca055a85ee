//! The JSON objects of the catalog. People can read them; the schema only grows.

use heliograph_blobs::{InvalidKey, Key};
use heliograph_types::{ContentType, FileName, Mxc, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// The version of the JSON that we write.
const SCHEMA: u32 = 1;

const fn schema() -> u32 {
    SCHEMA
}

/// What is known of one medium. Written once, at its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Version of this JSON.
    #[serde(default = "schema")]
    pub schema: u32,
    /// The medium.
    #[serde(with = "mxc_text")]
    pub mxc: Mxc,
    /// What the uploader, or the origin, says that it is. Echoed to clients.
    pub content_type: ContentType,
    /// What its first bytes say that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sniffed_type: Option<ContentType>,
    /// Bytes.
    pub size_bytes: u64,
    /// Digest of the content, in hexadecimal; empty if nobody has read the content.
    pub sha256: String,
    /// Key of the bytes in the store.
    pub blob: String,
    /// The upload that made this record: its bytes may be those of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Whether the uploader put the bytes into the store without us (MSC3870).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
    /// Who uploaded it; absent for copies of remote media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploader: Option<UserId>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<FileName>,
    /// When it was committed here, in ms: for remote media, when our copy was made.
    pub created_at: Timestamp,
    /// Nobody gets it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Verdict>,
    /// It cannot be quarantined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Its content is gone, or going: what is left keeps the id from being used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Verdict>,
}

/// Who decided something about a medium, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The moderator.
    pub by: UserId,
    /// In ms since 1970.
    pub at: Timestamp,
}

impl MediaRecord {
    /// The version of the JSON that we write.
    pub const SCHEMA: u32 = SCHEMA;

    /// The key of its bytes.
    pub fn blob_key(&self) -> Result<Key, InvalidKey> {
        Key::new(self.blob.as_str())
    }

    /// Whether these bytes are its content: it names them, and was not deleted.
    pub fn holds(&self, blob: &Key) -> bool {
        self.deleted.is_none() && self.blob == blob.as_str()
    }

    /// Whether it is a copy of a medium of another server, and was not deleted: copies have no
    /// uploader.
    pub fn is_remote_copy(&self) -> bool {
        self.uploader.is_none() && self.deleted.is_none()
    }

    /// Whether it is the picture of a preview of a URL.
    pub fn is_of_preview(&self) -> bool {
        self.uploader.as_ref().is_some_and(UserId::is_of_previews)
    }

    /// Whether the upload with this id has made it.
    pub fn is_of(&self, upload: &str) -> bool {
        self.upload.as_deref() == Some(upload)
    }
}

/// An id that was given out and has no content yet (MSC2246).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The id.
    #[serde(with = "mxc_text")]
    pub mxc: Mxc,
    /// Who may fill it.
    pub uploader: UserId,
    /// From then on the id is gone, unless it was filled.
    pub unused_expires_at: Timestamp,
}

/// Notes that the bytes of a medium are to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The key of the bytes.
    pub blob: String,
    /// In ms since 1970.
    pub noted_at: Timestamp,
}

/// How far the sweep of blobs has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Swept {
    /// All uploads that began before this were looked at; in ms since 1970.
    pub(crate) until: Timestamp,
}

mod mxc_text {
    //! An mxc URI as text.

    use heliograph_types::Mxc;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(mxc: &Mxc, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(mxc)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mxc, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
