//! Whether the helpers that are configured work, in their jail: each makes a picture.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use heliograph_imaging::Encoding;
use heliograph_types::{Finding, Trial};

use super::{Helpers, kind::Kind};
use crate::ThumbnailsConfig;

/// A film of one gray frame of 16 by 16.
const FILM_HEAD: &[u8] = b"YUV4MPEG2 W16 H16 F1:1 Ip A1:1 C420\nFRAME\n";
const FILM_SAMPLES: usize = 16 * 16 * 3 / 2;
const FILM: Kind = Kind::Timed { format: "yuv4mpegpipe" };
/// A PDF of one empty page, without the table that readers can make anew.
const PAGE: &[u8] = b"%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj
trailer<</Root 1 0 R>>
%%EOF
";

/// The trials of all helpers that are configured. Needs to run in the binary: it becomes the helpers.
pub fn try_helpers(config: &ThumbnailsConfig) -> Vec<Trial> {
    let helpers = Arc::new(Helpers::new(config));
    let film = [FILM_HEAD, &[128; FILM_SAMPLES]].concat();
    let samples = [
        ("thumbnails.ffmpeg", config.ffmpeg.clone(), FILM, film),
        ("thumbnails.pdf_renderer", config.pdf_renderer.clone(), Kind::Pdf, PAGE.to_vec()),
    ];
    let configured = samples.into_iter().filter_map(|(key, program, kind, sample)| Some((key, program?, kind, sample)));
    configured
        .map(|(key, program, kind, sample)| {
            let helpers = Arc::clone(&helpers);
            Trial::new(key, async move { try_one(&helpers, key, program, kind, &sample).await })
        })
        .collect()
}

async fn try_one(helpers: &Helpers, key: &str, program: PathBuf, kind: Kind, sample: &[u8]) -> Finding {
    let advice = format!("install it, correct {key}, or remove it: then there are no thumbnails of such files");
    let file = match to_file(sample) {
        Ok(file) => file,
        Err(error) => {
            return Finding::fail(format!("no temporary file can be made: {error}"), "make room, or set TMPDIR");
        }
    };
    let name = program.display();
    match helpers.make(kind, &program, &file).await {
        Ok(Ok(picture)) if Encoding::sniff(&picture).is_some() => Finding::ok(format!("{name} makes pictures")),
        Ok(Ok(_)) => Finding::fail(format!("{name} makes something else than pictures"), advice),
        Ok(Err(refusal)) => Finding::fail(format!("{name} does not work in its jail: {refusal}"), advice),
        Err(failure) => Finding::fail(format!("{name}: {failure}"), advice),
    }
}

fn to_file(sample: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(sample)?;
    Ok(file)
}
