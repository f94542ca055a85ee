//! How helpers are asked for a picture. It comes as PNG, at most 1600 pixels wide and high.

use std::path::Path;

use heliograph_jail::HELPER_INPUT;

use super::kind::Kind;
use crate::config::{MUTOOL, is_called};

/// How a picture is looked for.
struct Search {
    /// In front of the input.
    reading: &'static [&'static str],
    stream: &'static str,
    /// Of so many frames that are not dark the most typical is taken; without it, the first of all.
    of_frames: Option<u8>,
}

/// A frame that is not dark, of those that are the most like the others around them; at last any frame, or
/// the cover of music.
const SEARCHES: [Search; 3] = [
    // Whole frames, which need no others: one every few seconds.
    Search { reading: &["-skip_frame", "nokey", "-t", "20"], stream: "0:V:0", of_frames: Some(8) },
    // All frames of the beginning, of films that have few whole ones.
    Search { reading: &["-t", "10"], stream: "0:V:0", of_frames: Some(24) },
    Search { reading: &[], stream: "0:v:0", of_frames: None },
];

/// The average brightness that a frame must have, of 255; black has 16.
const NOT_DARK: u8 = 24;

/// To square pixels, and then into the box; never larger than it is.
const SCALE: &str = "scale=w='min(16384,trunc(iw*sar))':h=ih,scale=w='min(1600,iw)':h='min(1600,ih)':force_original_aspect_ratio=decrease,setsar=1";

/// The arguments of each attempt, best first; the next is made if one has no picture.
pub(super) fn commands(kind: Kind, program: &Path) -> Vec<Vec<String>> {
    match kind {
        Kind::Timed { format } => SEARCHES.iter().map(|search| of_ffmpeg(format, search)).collect(),
        Kind::Pdf if is_called(program, MUTOOL) => {
            vec![to_strings(&["draw", "-q", "-F", "png", "-o", "-", "-w", "1600", "-h", "1600", HELPER_INPUT, "1"])]
        }
        Kind::Pdf => {
            vec![to_strings(&["-q", "-png", "-singlefile", "-f", "1", "-l", "1", "-scale-to", "1600", HELPER_INPUT])]
        }
    }
}

fn of_ffmpeg(format: &str, search: &Search) -> Vec<String> {
    // Its standard input is the file, not a keyboard.
    let quiet = ["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-filter_threads", "1"];
    let (input, filters) = (format!("file:{HELPER_INPUT}"), filters(search));
    // Whatever the file names, nothing but a file can be opened, and landlock leaves only this one.
    let reading = ["-protocol_whitelist", "file", "-f", format, "-i", &input, "-map", search.stream];
    let writing = ["-an", "-sn", "-dn", "-map_metadata", "-1", "-vf", &filters, "-frames:v", "1"];
    let picture = ["-pix_fmt", "rgb24", "-c:v", "png", "-threads", "1", "-f", "image2pipe", "pipe:1"];
    to_strings(&[&quiet, search.reading, &reading, &writing, &picture].concat())
}

/// Frames are told apart after they were made small.
fn filters(search: &Search) -> String {
    let choose = |frames| {
        format!(
            "{SCALE},format=yuv420p,signalstats,\
             metadata=mode=select:key=lavfi.signalstats.YAVG:value={NOT_DARK}:function=greater,thumbnail=n={frames}"
        )
    };
    search.of_frames.map_or_else(|| SCALE.to_owned(), choose)
}

fn to_strings(arguments: &[&str]) -> Vec<String> {
    arguments.iter().copied().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpeg_is_told_the_format_and_opens_nothing_but_files() {
        for arguments in commands(Kind::Timed { format: "mov" }, Path::new("/usr/bin/ffmpeg")) {
            let before_input = arguments.split(|argument| argument == "-i").next().unwrap();

            assert!(before_input.windows(2).any(|pair| pair == ["-protocol_whitelist", "file"]));
            assert!(before_input.windows(2).any(|pair| pair == ["-f", "mov"]));
        }
    }
}
