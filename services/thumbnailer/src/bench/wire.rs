//! What is said to workers, and what they answer.

use bytes::Bytes;
use heliograph_imaging::{Done, Header, Job, RenderError, Rules};
use heliograph_jail::{Answer, Reply};
use serde::{Deserialize, Serialize};

/// What is wanted of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Its header.
    Look(Rules),
    /// What the job says.
    Work(Job),
}

/// What became of an order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Looked(Header),
    /// The images follow, each so many bytes long.
    Worked(Done, Vec<usize>),
    Failed(RenderError),
}

impl Order {
    /// A word for metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Look(_) => "look",
            Self::Work(_) => "work",
        }
    }
}

/// How an outcome travels.
pub(crate) fn pack(outcome: &Result<Outcome, RenderError>) -> Answer {
    let failed;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            failed = Outcome::Failed(error.clone());
            &failed
        }
    };
    let payload = match outcome {
        Outcome::Worked(done, _) => done.thumbnails.iter().map(|made| made.image.clone()).collect(),
        Outcome::Looked(_) | Outcome::Failed(_) => Vec::new(),
    };
    // A head that cannot be written is none that can be read: the parent takes it for garbled.
    Answer { head: serde_json::to_vec(outcome).unwrap_or_default(), payload }
}

/// The outcome that came; none if it does not hold together.
pub(crate) fn unpack(reply: &Reply) -> Option<Outcome> {
    let mut outcome: Outcome = serde_json::from_slice(&reply.head).ok()?;
    if let Outcome::Worked(done, lengths) = &mut outcome {
        let mut images = split(&reply.payload, lengths)?;
        if images.len() != done.thumbnails.len() {
            return None;
        }
        done.thumbnails.iter_mut().zip(images.drain(..)).for_each(|(made, image)| made.image = image);
    }
    Some(outcome)
}

fn split(payload: &Bytes, lengths: &[usize]) -> Option<Vec<Bytes>> {
    let mut rest = payload.clone();
    let pieces = lengths.iter().map(|length| (*length <= rest.len()).then(|| rest.split_to(*length)));
    let pieces: Option<Vec<Bytes>> = pieces.collect();
    pieces.filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use heliograph_imaging::{Encoding, Made};

    use super::*;

    fn made(image: &'static [u8]) -> Made {
        Made { encoding: Encoding::Png, width: 1, height: 2, image: Bytes::from_static(image) }
    }

    fn travel(outcome: &Result<Outcome, RenderError>, change: impl FnOnce(&mut Vec<u8>)) -> Option<Outcome> {
        let Answer { head, payload } = pack(outcome);
        let mut payload = payload.concat();
        change(&mut payload);
        unpack(&Reply { head: head.into(), payload: payload.into(), took: Duration::ZERO })
    }

    #[test]
    fn images_travel_beside_what_is_said_of_them() {
        let done = Done { thumbnails: vec![made(b"one"), made(b""), made(b"three")], description: None };
        let worked = Ok(Outcome::Worked(done.clone(), vec![3, 0, 5]));

        assert!(matches!(travel(&worked, |_| {}), Some(Outcome::Worked(came, _)) if came == done));
        assert!(travel(&worked, |payload| payload.push(0)).is_none());
        assert!(travel(&worked, |payload| payload.truncate(7)).is_none());
        assert!(travel(&Ok(Outcome::Worked(done, vec![8])), |_| {}).is_none());
    }

    #[test]
    fn an_error_travels_as_it_is() {
        let error = RenderError::TooManyPixels { pixels: 2, most: 1 };

        assert!(matches!(travel(&Err(error.clone()), |_| {}), Some(Outcome::Failed(came)) if came == error));
    }
}
