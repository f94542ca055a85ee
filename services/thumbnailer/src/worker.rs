//! The other side: what runs in a worker process.

use std::io;

use heliograph_imaging::{Header, RenderError, Scratch, work};
use heliograph_jail::{Answer, CannotEnter, Mapping, Policy, Request, enter, serve};

use crate::bench::{
    Mapped,
    wire::{Order, Outcome, pack},
};

/// Why a worker process ends before its work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It is not in its jail.
    #[error(transparent)]
    Jail(#[from] CannotEnter),
    /// Its parent cannot be understood.
    #[error("the channel to the thumbnailer: {0}")]
    Channel(#[from] io::Error),
}

/// Works on pictures until the thumbnailer that started this process hangs up. Reads no settings, and knows
/// nothing but what it is given.
pub fn work_in_jail(policy: &Policy) -> Result<(), WorkerError> {
    let jailed = enter(policy)?;
    let mut scratch = Scratch::default();
    Ok(serve(&jailed, |request| answer(&mut scratch, request))?)
}

fn answer(scratch: &mut Scratch, request: &Request<'_>) -> Answer {
    let outcome = match (serde_json::from_slice(request.head), request.file) {
        (Ok(order), Some(file)) => carry_out(scratch, order, file),
        (Ok(_), None) => Err(RenderError::Broken("no file came with the order".to_owned())),
        (Err(error), _) => Err(RenderError::Broken(error.to_string())),
    };
    pack(&outcome)
}

fn carry_out(scratch: &mut Scratch, order: Order, file: &Mapping) -> Result<Outcome, RenderError> {
    match order {
        Order::Look(rules) => Ok(Outcome::Looked(Header::read(file.bytes(), &rules)?)),
        Order::Work(job) => {
            let done = work(scratch, &Mapped(file), &job)?;
            let lengths = done.thumbnails.iter().map(|made| made.image.len()).collect();
            Ok(Outcome::Worked(done, lengths))
        }
    }
}
