//! The only fonts that text is drawn in: those in this crate. What a drawing asks for is not there.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::{Database, Source};

/// Whatever is asked for.
pub(super) const FAMILY: &str = "DejaVu Sans";
/// Latin, Greek, Cyrillic, Hebrew, Arabic and signs, without hints. Their licence lies beside them.
const FILES: [&[u8]; 2] =
    [include_bytes!("../../../fonts/DejaVuSans.ttf"), include_bytes!("../../../fonts/DejaVuSans-Bold.ttf")];

/// The fonts, read once in a process.
pub(super) fn ours() -> Arc<Database> {
    static OURS: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut fonts = Database::new();
        for file in FILES {
            fonts.load_font_source(Source::Binary(Arc::new(file)));
        }
        fonts.set_serif_family(FAMILY);
        fonts.set_sans_serif_family(FAMILY);
        fonts.set_monospace_family(FAMILY);
        fonts.set_cursive_family(FAMILY);
        fonts.set_fantasy_family(FAMILY);
        Arc::new(fonts)
    });
    OURS.clone()
}
