//! The programs that make pictures of PDFs, by what they are called.

use std::path::Path;

/// What pdftoppm is called, whatever comes after it.
const PDFTOPPM: &str = "pdftoppm";
/// The same of mutool.
pub(crate) const MUTOOL: &str = "mutool";

/// Whether a program is one that we know how to ask.
pub(super) fn is_pdf_renderer(program: &Path) -> bool {
    [PDFTOPPM, MUTOOL].iter().any(|name| is_called(program, name))
}

/// Whether a program is called `name`, whatever comes after that.
pub(crate) fn is_called(program: &Path, name: &str) -> bool {
    program.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renderers_are_known_by_name() {
        for (program, known) in
            [("/usr/bin/pdftoppm", true), ("/opt/mutool-1.24", true), ("/usr/bin/gs", false), ("/", false)]
        {
            assert_eq!(is_pdf_renderer(Path::new(program)), known, "{program}");
        }
    }
}
