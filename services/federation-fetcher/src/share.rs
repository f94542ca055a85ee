//! A flight of ours as other instances see it.

use futures_util::stream;
use heliograph_proto::{FollowError, Followed, Following, StoredCopy};
use heliograph_types::Failure;

use crate::flight::{Flight, State, Step, Stored};

/// How far a follower is.
enum Place {
    Head,
    Byte(u64),
    End,
}

/// Follows `flight`, from its first byte: in its window, and then in the store. Ends as lost
/// when another instance is to fetch.
pub(crate) fn share(flight: Flight) -> Following {
    Box::pin(stream::try_unfold((flight, Place::Head), |(mut flight, place)| async move {
        let (event, place) = match place {
            Place::Head => (flight.until(find_head).await, Place::Byte(0)),
            Place::Byte(offset) => match flight.until(|state| find_next(state, offset)).await {
                Some(Ok(Followed::Piece(piece))) => {
                    let next = offset + piece.len() as u64;
                    (Some(Ok(Followed::Piece(piece))), Place::Byte(next))
                }
                end => (end, Place::End),
            },
            Place::End => return Ok(None),
        };
        let event = event.unwrap_or(Err(FollowError::Lost))?;
        Ok(Some((event, (flight, place))))
    }))
}

fn find_head(state: &State) -> Option<Result<Followed, FollowError>> {
    if !state.can_be_followed() {
        return Some(Err(FollowError::Lost));
    }
    match state.find_head()? {
        Ok(head) => Some(Ok(Followed::Head(head))),
        Err(failure) => Some(Err(FollowError::Failed(failure))),
    }
}

fn find_next(state: &State, offset: u64) -> Option<Result<Followed, FollowError>> {
    if !state.can_be_followed() {
        return Some(Err(FollowError::Lost));
    }
    match state.step(offset) {
        Step::Take(piece) => Some(Ok(Followed::Piece(piece))),
        Step::Open(stored) | Step::End(Ok(stored)) => Some(Ok(Followed::Stored(to_copy(&stored)))),
        Step::End(Err(failure)) => Some(Err(FollowError::Failed(Failure::clone(&failure)))),
        Step::Wait => None,
    }
}

fn to_copy(Stored { key, size_bytes }: &Stored) -> StoredCopy {
    StoredCopy { blob: key.to_string(), size_bytes: *size_bytes }
}
