//! A worker that is started only to see what it can enter.

use std::{io::Read, process::Child, time::Duration};

use super::{Program, bury, spawn};
use crate::{
    frame::{MOST_HEAD_BYTES, ReplyPrefix},
    lost::{Lost, Reason},
    support::Support,
};

/// Starts a worker, asks what is in force, and ends it. Blocks for some milliseconds, at most `within`.
pub fn try_out(program: &Program, within: Duration) -> Result<Support, Lost> {
    let failed = |error: std::io::Error| Lost::new(Reason::NotStarted, error.to_string());
    let (child, socket) = spawn(program).map_err(failed)?;
    let greeting = socket.set_read_timeout(Some(within)).and_then(|()| read_greeting(&socket));
    match greeting {
        Ok(support) => {
            end(child);
            Ok(support)
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(bury(child, Some(Reason::Garbled))),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(bury(child, Some(Reason::Time))),
        Err(_) => Err(bury(child, None)),
    }
}

fn read_greeting(mut socket: impl Read) -> std::io::Result<Support> {
    let mut prefix = [0; ReplyPrefix::LENGTH];
    socket.read_exact(&mut prefix)?;
    let length = ReplyPrefix::decode(&prefix).head_bytes as usize;
    let mut head = vec![0; length.min(MOST_HEAD_BYTES)];
    socket.read_exact(&mut head)?;
    Ok(serde_json::from_slice(&head)?)
}

/// It has no more work, and ends by our signal.
fn end(mut child: Child) {
    drop(child.kill());
    drop(child.wait());
}
