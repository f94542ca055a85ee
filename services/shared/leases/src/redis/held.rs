//! Something that is made when it is needed, shared while it is good, and made anew after that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::trouble::{Deadline, Trouble};

/// A connection, or whatever else one caller makes for all.
pub(super) struct Held<T> {
    state: Mutex<State<T>>,
    // Whoever holds it is the one who makes it.
    making: tokio::sync::Mutex<()>,
}

/// Where we stand.
enum State<T> {
    /// There is none, and no reason yet to think that there can be none.
    Unknown,
    /// It and its number.
    Up(u64, T),
    /// The last attempt failed. One caller at a time tries again; the others fail at once, so
    /// that an outage costs them no time.
    Down(Trouble),
}

impl<T: Clone> Held<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Unknown), making: tokio::sync::Mutex::default() }
    }

    /// What is there, or else what `make` makes: boxed, since it is large and hardly ever needed.
    pub(super) async fn get<'a>(
        &self,
        deadline: Deadline,
        make: impl FnOnce() -> BoxFuture<'a, Result<T, Trouble>>,
    ) -> Result<(u64, T), Trouble> {
        let was_down = match &*self.state() {
            State::Up(number, value) => return Ok((*number, value.clone())),
            State::Down(trouble) => Some(trouble.clone()),
            State::Unknown => None,
        };
        let _turn = match &was_down {
            Some(trouble) => self.making.try_lock().map_err(|_| trouble.clone())?,
            None => deadline.bound(self.making.lock()).await?,
        };
        match &*self.state() {
            State::Up(number, value) => return Ok((*number, value.clone())),
            // Whoever had the turn before us found it down.
            State::Down(trouble) if was_down.is_none() => return Err(trouble.clone()),
            State::Down(_) | State::Unknown => {}
        }
        match deadline.bound(make()).await.flatten() {
            Ok(value) => Ok((self.put(value.clone()), value)),
            Err(trouble) => {
                *self.state() = State::Down(trouble.clone());
                Err(trouble)
            }
        }
    }

    /// Has it made anew, unless somebody is just doing that. What is there serves the others
    /// meanwhile, and stays if `make` fails.
    pub(super) async fn renew<'a>(
        &self,
        deadline: Deadline,
        make: impl FnOnce() -> BoxFuture<'a, Result<T, Trouble>>,
    ) -> Result<(), Trouble> {
        let Ok(_turn) = self.making.try_lock() else { return Ok(()) };
        let value = deadline.bound(make()).await.flatten()?;
        self.put(value);
        Ok(())
    }

    /// What is there.
    pub(super) fn find(&self) -> Option<T> {
        match &*self.state() {
            State::Up(_, value) => Some(value.clone()),
            State::Down(_) | State::Unknown => None,
        }
    }

    /// Whether the last attempt failed.
    pub(super) fn is_down(&self) -> bool {
        matches!(&*self.state(), State::Down(_))
    }

    /// It is of no more use, unless it was replaced already.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.state();
        if matches!(&*state, State::Up(current, _) if *current == number) {
            *state = State::Unknown;
        }
    }

    /// Forgets all, failures too: the next caller makes a new one, and others wait for it.
    pub(super) fn reset(&self) {
        *self.state() = State::Unknown;
    }

    fn put(&self, value: T) -> u64 {
        let number = rand::random();
        *self.state() = State::Up(number, value);
        number
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Each critical section is one step: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
