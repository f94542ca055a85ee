//! The formats out of which metadata can be taken.

heliograph_settings::choice! {
    /// A format out of which metadata can be taken.
    pub enum Kind {
        /// JPEG.
        Jpeg = "image/jpeg",
        /// PNG, animated or not.
        Png = "image/png",
        /// WebP, animated or not.
        WebP = "image/webp",
    }
}

impl Kind {
    /// So many bytes at the beginning of a file tell what it is.
    pub const SNIFFED_BYTES: usize = 12;

    /// What a file is that begins like this.
    pub fn sniff(beginning: &[u8]) -> Option<Self> {
        if beginning.starts_with(b"\xff\xd8\xff") {
            return Some(Self::Jpeg);
        }
        if beginning.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Png);
        }
        let is_webp = beginning.starts_with(b"RIFF") && beginning.get(8..12) == Some(b"WEBP");
        is_webp.then_some(Self::WebP)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}
