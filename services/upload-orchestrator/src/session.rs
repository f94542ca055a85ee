//! The states of one upload, and what leads from one to the next. Pure: no clock, no I/O.

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Bytes arrive.
    Receiving {
        /// As the caller last told.
        stored_bytes: u64,
    },
    /// The record is being written.
    Committing,
    /// The record is durable.
    Committed,
    /// Given up; what was stored is being removed, so nothing can be committed any more.
    Discarding,
    /// Given up, and nothing is left.
    Discarded,
}

/// What happens to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// More bytes are stored.
    Progressed(u64),
    /// The caller has stored everything.
    CommitAsked,
    /// The record is durable.
    Recorded,
    /// The id has content already.
    Refused,
    /// The store failed; the record may or may not be there.
    RecordFailed,
    /// The caller gives up.
    AbortAsked,
    /// Nothing has arrived for too long.
    IdleTooLong,
    /// The upload takes too long.
    OutOfTime,
    /// The lease is no longer ours.
    LeaseLost,
    /// What was stored is removed, or left to the sweep.
    Removed,
}

/// What must be done to enter a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Begin the wait for progress anew.
    ArmIdleTimer,
    /// Stop waiting for progress.
    DisarmIdleTimer,
    /// Write the record, then tell how it went.
    WriteRecord,
    /// Tell those who ask for the commit that the upload was given up.
    RefuseCommit,
    /// Remove the blob unless a record names it, then tell.
    RemoveBlob,
    /// Try to own the id again.
    TakeLeaseAgain,
    /// The upload is over.
    Stop,
}

/// The event makes no sense in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} while {state:?}")]
pub(crate) struct IllegalTransition {
    state: State,
    event: Event,
}

impl State {
    /// The next state and what must be done to enter it.
    pub(crate) fn step(&self, event: Event) -> Result<(Self, Vec<Effect>), IllegalTransition> {
        match (self, event) {
            (Self::Receiving { .. }, Event::Progressed(stored_bytes)) => {
                Ok((Self::Receiving { stored_bytes }, vec![Effect::ArmIdleTimer]))
            }
            (Self::Receiving { .. }, Event::CommitAsked) => {
                Ok((Self::Committing, vec![Effect::DisarmIdleTimer, Effect::WriteRecord]))
            }
            (Self::Receiving { .. }, Event::AbortAsked | Event::IdleTooLong | Event::OutOfTime)
            | (Self::Committing, Event::Refused) => {
                Ok((Self::Discarding, vec![Effect::DisarmIdleTimer, Effect::RemoveBlob]))
            }
            (Self::Discarding, Event::CommitAsked) => Ok((Self::Discarding, vec![Effect::RefuseCommit])),
            (Self::Discarding, Event::Removed) => Ok((Self::Discarded, vec![Effect::Stop])),
            // Another caller of the same commit: one record answers both. A timer that fired
            // just before the commit was asked for comes too late.
            (Self::Committing, Event::CommitAsked | Event::Progressed(_) | Event::IdleTooLong | Event::OutOfTime) => {
                Ok((Self::Committing, vec![]))
            }
            (Self::Committing, Event::Recorded) => Ok((Self::Committed, vec![Effect::Stop])),
            // The caller may ask again.
            (Self::Committing, Event::RecordFailed) => {
                Ok((Self::Receiving { stored_bytes: 0 }, vec![Effect::ArmIdleTimer]))
            }
            // A lease saves work; the record decides. So the upload goes on.
            (Self::Receiving { .. } | Self::Committing, Event::LeaseLost) => {
                Ok((self.clone(), vec![Effect::TakeLeaseAgain]))
            }
            (state, event) => Err(IllegalTransition { state: state.clone(), event }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 10] = [
        Event::Progressed(7),
        Event::CommitAsked,
        Event::Recorded,
        Event::Refused,
        Event::RecordFailed,
        Event::AbortAsked,
        Event::IdleTooLong,
        Event::OutOfTime,
        Event::LeaseLost,
        Event::Removed,
    ];

    fn after(state: &State, event: Event) -> Option<State> {
        state.step(event).ok().map(|(state, _)| state)
    }

    #[test]
    fn every_event_in_every_state_leads_where_it_should() {
        let receiving = State::Receiving { stored_bytes: 0 };
        let more = State::Receiving { stored_bytes: 7 };
        let (committing, committed) = (State::Committing, State::Committed);
        let (discarding, discarded) = (State::Discarding, State::Discarded);
        let to = |state: &State| Some(state.clone());
        let illegal = || None;

        let of_receiving = [
            to(&more),
            to(&committing),
            illegal(),
            illegal(),
            illegal(),
            to(&discarding),
            to(&discarding),
            to(&discarding),
            to(&receiving),
            illegal(),
        ];
        let of_committing = [
            to(&committing),
            to(&committing),
            to(&committed),
            to(&discarding),
            to(&receiving),
            illegal(),
            to(&committing),
            to(&committing),
            to(&committing),
            illegal(),
        ];
        let mut of_discarding = [const { None }; 10];
        of_discarding[1] = to(&discarding);
        of_discarding[9] = to(&discarded);
        let nothing = [const { None }; 10];

        for (state, expected) in [
            (&receiving, of_receiving),
            (&committing, of_committing),
            (&discarding, of_discarding),
            (&committed, nothing.clone()),
            (&discarded, nothing),
        ] {
            assert_eq!(EVENTS.map(|event| after(state, event)), expected, "{state:?}");
        }
    }

    #[test]
    fn an_upload_that_is_being_removed_is_not_over_and_not_committed() {
        let (state, effects) = State::Discarding.step(Event::CommitAsked).unwrap();

        assert_eq!((state, effects), (State::Discarding, vec![Effect::RefuseCommit]));
    }

    #[test]
    fn an_upload_whose_record_is_being_written_cannot_be_aborted() {
        assert!(State::Committing.step(Event::AbortAsked).is_err());
    }

    proptest! {
        #[test]
        fn a_blob_is_removed_at_most_once_and_never_after_its_record(events in proptest::collection::vec(proptest::sample::select(EVENTS.to_vec()), 0..40)) {
            let mut state = State::Receiving { stored_bytes: 0 };
            let mut removed = 0;
            for event in events {
                let Ok((next, effects)) = state.step(event) else { continue };
                removed += effects.iter().filter(|effect| **effect == Effect::RemoveBlob).count();
                prop_assert!(next != State::Committed || removed == 0);
                state = next;
            }
            prop_assert!(removed <= 1);
        }
    }
}
