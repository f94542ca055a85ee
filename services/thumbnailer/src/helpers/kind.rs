//! What helpers can make pictures of, by the first bytes: never by what the uploader says.

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that takes time; ffmpeg's name of the format. It is told, so that ffmpeg takes it for
    /// no other: some formats are lists of files and addresses that it would open.
    Timed { format: &'static str },
    /// A PDF.
    Pdf,
}

/// Types by magic, and ffmpeg's names of their formats.
const FORMATS: &[(&str, &str)] = &[
    ("audio/aac", "aac"),
    ("audio/m4a", "mov"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/opus", "ogg"),
    ("audio/x-aiff", "aiff"),
    ("audio/x-flac", "flac"),
    ("audio/x-wav", "wav"),
    ("video/mp4", "mov"),
    ("video/mpeg", "mpeg"),
    ("video/quicktime", "mov"),
    ("video/x-flv", "flv"),
    ("video/x-m4v", "mov"),
    ("video/x-ms-wmv", "asf"),
    ("video/x-msvideo", "avi"),
];

/// What Matroska and WebM begin with; what comes next may come in any order.
const EBML: &[u8] = b"\x1a\x45\xdf\xa3";

impl Kind {
    /// So many bytes at the beginning are looked at.
    pub(super) const SNIFFED_BYTES: u64 = 8 << 10;

    /// What begins like this.
    pub(super) fn sniff(beginning: &[u8]) -> Option<Self> {
        if beginning.starts_with(EBML) {
            return Some(Self::Timed { format: "matroska" });
        }
        let media_type = infer::get(beginning)?.mime_type();
        if media_type == "application/pdf" {
            return Some(Self::Pdf);
        }
        let (_, format) = FORMATS.iter().find(|(name, _)| *name == media_type)?;
        Some(Self::Timed { format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_its_first_bytes_say() {
        let mov = Some(Kind::Timed { format: "mov" });
        for (beginning, kind) in [
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".as_slice(), mov),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", mov),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01webm", Some(Kind::Timed { format: "matroska" })),
            (b"ID3\x04\0\0\0\0\0\0", Some(Kind::Timed { format: "mp3" })),
            (b"OggS\0\x02", Some(Kind::Timed { format: "ogg" })),
            (b"fLaC\0\0\0\x22", Some(Kind::Timed { format: "flac" })),
            (b"%PDF-1.7\n", Some(Kind::Pdf)),
            (b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", None),
            (b"ffconcat version 1.0\nfile '/etc/passwd'\n", None),
            (b"<?xml version='1.0'?><MPD/>", None),
            (b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", None),
            (b"\xff\xd8\xff\xe0", None),
            (b"", None),
        ] {
            assert_eq!(Kind::sniff(beginning), kind, "{beginning:?}");
        }
    }
}
