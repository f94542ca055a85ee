//! Prints what becomes of everything when there are more and more records, in one process over a folder on this machine:
//! `growth [COUNT …]`, else from a thousand to a million.
//!
//! The store is filled with files as Heliograph itself writes them; one that it did write tells whether that is so. What
//! a file holds is the same everywhere, a picture, and on disk once: of a million records there are some 5 GB.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "growth/course.rs"]
mod course;
#[path = "growth/fill.rs"]
mod fill;
#[path = "growth/table.rs"]
mod table;

use std::env;

use self::table::Table;

const COUNTS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

#[tokio::main]
async fn main() {
    let told: Vec<u64> = env::args().skip(1).map(|count| count.parse().unwrap()).collect();
    let counts = if told.is_empty() { COUNTS.to_vec() } else { told };
    let mut table = Table::default();
    for count in counts {
        println!("with {count} records");
        course::measure(count, &mut table).await;
    }
    table.print();
}
