//! Files that mean no good: each ends with a picture or a reason, without a panic, and with no more
//! memory than its header said.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "corpus/all.rs"]
mod corpus;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/photographs.rs"]
mod photographs;

use std::panic::{AssertUnwindSafe, catch_unwind};

use corpus::{Hostile, Size, bombs, cuts, flips, seeds};
use heliograph_imaging::{Header, Job, Quality, RenderError, Rules, Scratch, Wanted, estimate, work};
use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{Crop, Scale},
    ThumbnailSpec,
};

const RULES: Rules =
    Rules { most_pixels: 4_000_000, most_frames: 50, most_animated_pixels: 8_000_000, svg: true, avif: false };
/// What a header may take to be read, beside the file: a drawing is parsed for it.
const HEADER_BYTES: u64 = 2 << 20;
const HEADER_BYTES_PER_BYTE: u64 = 12;
/// Of all that is not in the file's own hands.
const SLACK_BYTES: u64 = 2 << 20;
/// A progressive JPEG goes over its pixels as often as it has scans.
const MOST_SCANS: u64 = 500;

fn job() -> Job {
    let wanted = |width, height, method, animated| Wanted {
        spec: ThumbnailSpec { width, height, method, animated },
        format: ThumbnailFormat::Usual,
    };
    let wanted = vec![wanted(32, 32, Crop, false), wanted(90, 60, Scale, true)];
    Job { wanted, describe: true, rules: RULES, quality: Quality::default() }
}

/// What comes of a file. Says what is wrong if it took too much, or did not end well.
fn outcome(hostile: &Hostile, job: &Job) -> Result<Result<(), RenderError>, String> {
    let Hostile { name, file } = hostile;
    let length = u64::try_from(file.len()).unwrap();
    let header_bytes = HEADER_BYTES + HEADER_BYTES_PER_BYTE * length;
    let attempt = AssertUnwindSafe(|| memory::peak_of(|| Header::read(file, &RULES)));
    let (header, peak) = catch_unwind(attempt).map_err(|_| format!("{name}: the header panics"))?;
    if peak > header_bytes {
        return Err(format!("{name}: the header takes {peak} bytes of {header_bytes}"));
    }
    let most = match &header {
        Ok(header) => {
            let cost = estimate(header, job);
            let most_pixels = (RULES.most_pixels * MOST_SCANS).max(RULES.most_animated_pixels);
            if cost.pixels > most_pixels {
                return Err(format!("{name}: {} pixels of work pass", cost.pixels));
            }
            cost.memory_bytes + length + SLACK_BYTES
        }
        Err(_) => header_bytes,
    };
    // A worker keeps it from one picture to the next: what one leaves must not hurt.
    let attempt = AssertUnwindSafe(|| memory::peak_of(|| work(&mut Scratch::default(), file, job)));
    let (done, peak) = catch_unwind(attempt).map_err(|_| format!("{name}: a panic"))?;
    if peak > most {
        return Err(format!("{name}: {peak} bytes of {most}"));
    }
    if header.is_err() && done.is_ok() {
        return Err(format!("{name}: drawn without a header"));
    }
    Ok(done.map(drop))
}

/// How many of the files gave a picture.
fn all_end_well(files: impl IntoIterator<Item = Hostile>) -> usize {
    let job = job();
    let (mut pictures, mut faults) = (0, Vec::new());
    for hostile in files {
        match outcome(&hostile, &job) {
            Ok(Ok(())) => pictures += 1,
            Ok(Err(_)) => {}
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    pictures
}

#[test]
fn bombs_go_off_in_nobodys_hands() {
    let _alone = memory::alone();
    let bombs = bombs(Size(20));
    assert!(bombs.len() > 100, "{} bombs", bombs.len());
    all_end_well(bombs);
}

#[test]
fn files_that_were_cut_off_end_well() {
    let _alone = memory::alone();
    for seed in seeds() {
        let pictures = all_end_well(cuts(&seed));
        println!("{}: {pictures} of 100 cut files are pictures", seed.name);
    }
}

#[test]
fn files_with_turned_bits_end_well() {
    let _alone = memory::alone();
    for seed in seeds() {
        let pictures = all_end_well(flips(&seed, 100));
        println!("{}: {pictures} of 100 harmed files are pictures", seed.name);
    }
}

#[test]
fn memory_is_counted() {
    let _alone = memory::alone();
    let (length, peak) = memory::peak_of(|| vec![1_u8; 5 << 20].len());
    assert!(length == 5 << 20 && (5 << 20..6 << 20).contains(&peak), "{peak}");
}
