//! What each piece may cost: stored beside the tests, compared with what was found.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::Costs;

/// Compilers and allocators differ a little from release to release.
const ROOM_PERCENT: u64 = 5;

const INTRODUCTION: &str = "\
# What the hot paths may cost: instructions, as valgrind counts them, and allocations. `tests/run guard` compares;
# `tests/run guard renew` writes this file anew, with some room above what was found.

";

/// By name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Per request.
    pub(crate) allocations: Costs,
    /// Each time.
    pub(crate) instructions: Costs,
}

impl Limits {
    pub(crate) fn load() -> Self {
        toml::from_str(&fs::read_to_string(place()).unwrap()).unwrap()
    }

    pub(crate) fn store(&self) {
        fs::write(place(), INTRODUCTION.to_owned() + &toml::to_string(self).unwrap()).unwrap();
    }

    /// Allocations are always the same; instructions nearly so.
    pub(crate) fn with_room(self) -> Self {
        let more = |(name, cost)| (name, cost + cost * ROOM_PERCENT / 100);
        Self { instructions: self.instructions.into_iter().map(more).collect(), ..self }
    }

    /// Prints what was found beside these, and tells how many of them it breaks.
    pub(crate) fn compare(&self, found: &Self) -> usize {
        println!("| | found | at most | |\n|---|---|---|---|");
        compare("allocations", &self.allocations, &found.allocations)
            + compare("instructions", &self.instructions, &found.instructions)
    }
}

/// What has no limit breaks one, and so does a limit of nothing.
fn compare(unit: &str, limits: &Costs, found: &Costs) -> usize {
    let mut broken = 0;
    for name in limits.keys().chain(found.keys().filter(|name| !limits.contains_key(*name))) {
        let (cost, most) = (found.get(name), limits.get(name));
        let is_kept = matches!((cost, most), (Some(cost), Some(most)) if cost <= most);
        broken += usize::from(!is_kept);
        let show = |number: Option<&u64>| number.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let verdict = if is_kept { "" } else { "TOO MUCH" };
        println!("| {}, {unit} | {} | {} | {verdict} |", name.replace('_', " "), show(cost), show(most));
    }
    broken
}

fn place() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guard.toml"))
}
