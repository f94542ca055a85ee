//! Whether anything that was acknowledged is ever lost: a cluster of real processes, faults of every kind, and
//! clients that know what they were told and compare every byte.
//!
//! Each fault is a row of a table. What holds in every row: no download has other bytes than were uploaded, nothing
//! that was acknowledged is missing afterwards (from any front), nothing that was not acknowledged is there in part
//! or mixed, and no refusal is final (401, 403 or 404) for what is stored. What a row promises besides, it says.

mod balancer;
mod clock;
mod cluster;
mod content;
mod course;
mod directory;
mod disk;
mod fault;
mod gate;
mod instance;
mod isolation;
mod ledger;
mod load;
mod origin;
mod pods;
mod redis;
mod remains;
mod rivals;
mod rolling;
mod rows;
mod scale;
mod table;
mod tally;
mod verify;

use self::{course::Course, table::Table};
pub use self::{isolation::isolate, scale::Scale};

/// Runs all rows and prints the table; tells whether every promise was kept. Only rows whose name contains one of
/// `names` are run, if there are any.
///
/// Within [`isolate`].
pub async fn faults(scale: Scale, names: &[String]) -> bool {
    pods::prepare_network();
    let mut table = Table::default();
    let rigs = rows::RIGS.map(|rig| {
        let rows = rig.rows(scale.is_short).into_iter().filter(|row| is_wanted(row.name, names));
        (rig, rows.collect::<Vec<_>>())
    });
    let last = rigs.len() - 1;
    for (place, (rig, rows)) in rigs.into_iter().enumerate().filter(|(_, (_, rows))| !rows.is_empty()) {
        let course = Course { scale: &scale, table: &mut table, is_last: place == last && names.is_empty() };
        rig.run(course, rows).await;
    }
    println!("\n{table}");
    table.is_clean()
}

fn is_wanted(row: &str, names: &[String]) -> bool {
    names.is_empty() || names.iter().any(|name| row.contains(name.as_str()))
}
