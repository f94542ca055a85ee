//! Writes files that mean no good into a folder, to try servers and workers with. They are some
//! thousands, and take some memory and patience to make.
//!
//! `cargo run --release -p heliograph-imaging --example hostile -- FOLDER`

#![expect(clippy::unwrap_used, reason = "what is made here can be made")]

#[path = "../tests/corpus/all.rs"]
mod corpus;
#[path = "../tests/support/photographs.rs"]
mod photographs;

use std::{fs, io, path::PathBuf};

use corpus::{Size, bombs, cuts, flips, seeds};

const FLIPS: usize = 200;

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "name a folder"));
    };
    fs::create_dir_all(&folder)?;
    let seeds = seeds();
    let harmed = seeds.iter().flat_map(|seed| cuts(seed).chain(flips(seed, FLIPS)));
    let mut count = 0;
    for hostile in bombs(Size(1)).into_iter().chain(harmed).chain(seeds.iter().cloned()) {
        fs::write(folder.join(&hostile.name), &hostile.file)?;
        count += 1;
    }
    println!("{count} files");
    Ok(())
}
