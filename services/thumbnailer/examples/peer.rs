//! Makes thumbnails as a worker does, for whoever compares: one line of JSON per job in, one out.
#![expect(clippy::unwrap_used, reason = "whoever compares must know what went wrong")]

use std::{
    fs::{self, File},
    io::{self, BufRead},
};

use heliograph_imaging::{Job, Quality, Rules, Scratch, Source, Wanted, work};
use heliograph_jail::Mapping;
use heliograph_types::{ThumbnailFormat, ThumbnailSpec};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// A file, as workers have it.
struct Mapped(Mapping);

impl Source for Mapped {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    fn release_before(&self, at: usize) {
        self.0.release_before(at);
    }
}

fn main() {
    let mut scratch = Scratch::default();
    for line in io::stdin().lock().lines() {
        let order: Value = serde_json::from_str(&line.unwrap()).unwrap();
        println!("{}", carry_out(&mut scratch, &order));
    }
}

fn carry_out(scratch: &mut Scratch, order: &Value) -> Value {
    let outputs = order["outputs"].as_array().unwrap();
    let wanted = outputs.iter().map(to_wanted).collect();
    let rules = Rules { most_pixels: 100_000_000, avif: true, ..Rules::default() };
    let job = Job { wanted, describe: false, rules, quality: Quality::default() };
    // The peak begins anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let started = processor_ms();
    let file = Mapped(Mapping::of(&File::open(order["file"].as_str().unwrap()).unwrap()).unwrap());
    let done = match work(scratch, &file, &job) {
        Ok(done) => done,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let answer = json!({ "cpu_ms": processor_ms() - started, "peak_kb": peak_kb() });
    for (made, output) in done.thumbnails.iter().zip(outputs) {
        fs::write(output["path"].as_str().unwrap(), &made.image).unwrap();
    }
    answer
}

/// Time on the processor, of this process.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn processor_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn to_wanted(output: &Value) -> Wanted {
    let side = |name: &str| u32::try_from(output[name].as_u64().unwrap()).unwrap();
    let spec = ThumbnailSpec {
        width: side("width"),
        height: side("height"),
        method: output["method"].as_str().unwrap().parse().unwrap(),
        animated: output["animated"].as_bool().unwrap(),
    };
    Wanted { spec, format: ThumbnailFormat::Usual }
}

fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
