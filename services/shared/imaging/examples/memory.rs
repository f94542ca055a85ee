//! Prints the most memory that a process had in use which made all five thumbnails of a JPEG, as a worker does it:
//! with the file mapped, and let go of as it is read. Linux only.
//!
//! `cargo run --release -p heliograph-imaging --example memory [FILE..]`; without files, pictures as noisy as
//! photos are made.

#[path = "../../jpeg/examples/support/photo.rs"]
mod photo;

use std::{fs::File, io, path::Path, process::Command};

use heliograph_imaging::{Job, Quality, Rules, Scratch, Source, Wanted, work};
use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use photo::photo;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

const PRESETS: [(u32, u32, ThumbnailMethod); 5] =
    [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)];
const QUALITY: u8 = 89;
/// Says to a process that it is to do the work, and of which file.
const WORK: &str = "--work";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [work, path] if work == WORK => render(Path::new(path)),
        [] => make_and_measure(),
        paths => paths.iter().try_for_each(|path| measure(path, Path::new(path))),
    }
}

fn make_and_measure() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("heliograph-memory-{}.jpg", std::process::id()));
    for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024), ("48 MP", 8064, 6048)] {
        for progressive in [false, true] {
            std::fs::write(&path, photo(width, height, QUALITY, progressive))?;
            let kind = if progressive { "progressive" } else { "baseline" };
            measure(&format!("{name} {kind}"), &path)?;
        }
    }
    std::fs::remove_file(path)
}

/// In a process of its own, as none ever tells of less than it once had.
fn measure(name: &str, path: &Path) -> io::Result<()> {
    let bytes = std::fs::metadata(path)?.len();
    let output = Command::new(std::env::current_exe()?).arg(WORK).arg(path).output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{name}, {} kB: {}", bytes / 1000, report.trim());
    Ok(())
}

fn render(path: &Path) -> io::Result<()> {
    let idle = peak()?;
    let file = Mapped::open(path)?;
    let wanted = PRESETS.map(|(width, height, method)| Wanted {
        spec: ThumbnailSpec { width, height, method, animated: false },
        format: ThumbnailFormat::Usual,
    });
    let rules = Rules { most_pixels: 100_000_000, ..Rules::default() };
    let job = Job { wanted: wanted.to_vec(), describe: true, rules, quality: Quality::default() };
    let done = work(&mut Scratch::default(), &file, &job).map_err(io::Error::other)?;
    println!("{} kB at most, {idle} kB of them before the work; {} thumbnails", peak()?, done.thumbnails.len());
    Ok(())
}

/// The most memory that this process ever had in use, in kB.
fn peak() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("the system does not tell"))
}

/// A file that the system brings into memory where it is read.
struct Mapped {
    start: *mut std::ffi::c_void,
    length: usize,
}

#[expect(unsafe_code, reason = "a mapping has no safe interface")]
impl Mapped {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: a new mapping, at a place that the system chooses.
        let start = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &file, 0)? };
        Ok(Self { start, length })
    }
}

#[expect(unsafe_code, reason = "a mapping has no safe interface")]
impl Source for Mapped {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is as long, and lives as long as `self`. Nobody changes the file meanwhile.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.length) }
    }

    fn release_before(&self, at: usize) {
        const PAGE: usize = 4096;
        let length = at.min(self.length) / PAGE * PAGE;
        // SAFETY: within the mapping; what is let go is read from the file again.
        let advised = unsafe { madvise(self.start, length, Advice::LinuxDontNeed) };
        if let Err(error) = advised {
            eprintln!("{error}");
        }
    }
}

#[expect(unsafe_code, reason = "a mapping has no safe interface")]
impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing borrowed from `self` lives any more.
        if let Err(error) = unsafe { munmap(self.start, self.length) } {
            eprintln!("{error}");
        }
    }
}
