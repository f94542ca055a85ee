//! Faults in a request: what a broken client, a bad line or somebody curious makes of it.

use super::{dice::Dice, words};

/// Makes one to three faults. Most are in the first lines: there is more to break.
pub(crate) fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let end = if dice.chance(60) { bytes.len().min(160) } else { bytes.len() };
        let at = dice.below(end);
        mutate_at(dice, bytes, at);
    }
}

fn mutate_at(dice: &mut Dice, bytes: &mut Vec<u8>, at: usize) {
    let end = (at + 1 + dice.below(12)).min(bytes.len());
    match dice.below(7) {
        0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = u8::try_from(dice.below(256)).unwrap()),
        2 => drop(bytes.drain(at.min(end)..end)),
        3 => {
            let piece = bytes[at.min(end)..end].to_vec();
            for _ in 0..=dice.below(3) {
                bytes.splice(at..at, piece.iter().copied());
            }
        }
        4 => bytes.truncate(at),
        _ => {
            let splinter = dice.pick(&words::SPLINTERS);
            bytes.splice(at..at, splinter.iter().copied());
        }
    }
}
