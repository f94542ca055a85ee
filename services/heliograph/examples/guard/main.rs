//! What the hot paths cost, in instructions and allocations, beside what they may cost.
//!
//! Neither depends on how fast the machine is, or on what else it does: `tests/run guard` fails
//! where a change makes something dearer. `renew` as an argument writes new limits, for changes
//! that are worth it; they lie in `tests/guard.toml`.
//!
//! Instructions are counted by valgrind, which runs this program once more with the argument
//! `work`: every piece is done many times there, within a function that has its name.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]

mod callgrind;
mod homeserver;
mod limits;
mod pieces;

use std::{collections::BTreeMap, process::ExitCode};

use self::{limits::Limits, pieces::Piece};

/// What something costs, by its name.
type Costs = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("work") {
        pieces::all().into_iter().for_each(Piece::repeat);
        return ExitCode::SUCCESS;
    }
    let found = Limits { allocations: allocations(), instructions: callgrind::instructions() };
    if argument.as_deref() == Some("renew") {
        found.with_room().store();
        return ExitCode::SUCCESS;
    }
    let broken = Limits::load().compare(&found);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of what answers requests.
fn allocations() -> Costs {
    let counted = pieces::all().into_iter().filter(|piece| piece.counts_allocations);
    counted.map(|mut piece| (piece.name.to_owned(), piece.allocations())).collect()
}
