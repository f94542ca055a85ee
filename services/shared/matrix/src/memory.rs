//! What homeservers said of tokens, as this process remembers it.
//!
//! Owns what a logout makes of it: what was said before is gone, and what was asked before is
//! not remembered when its answer comes.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use heliograph_types::Timestamp;
use lru::LruCache;

use crate::{AuthError, Refusal, Requester, logged_out::LoggedOut, token::PresentedKey};

/// What was said of something that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) answer: Result<Requester, Refusal>,
    /// Counted from the question, so that nothing outlives a logout by more than that.
    pub(crate) until: Timestamp,
    /// Which homeserver knew the token, if one did: the first to be asked again.
    pub(crate) knew: Option<usize>,
}

impl Remembered {
    pub(crate) fn answer(&self) -> Result<Requester, AuthError> {
        self.answer.clone().map_err(AuthError::Refused)
    }

    fn is_of(&self, key: &PresentedKey, who: &LoggedOut) -> bool {
        match who {
            LoggedOut::Token(digest) => key.token == *digest,
            LoggedOut::User(user_id) => self.answer.as_ref().is_ok_and(|requester| requester.user_id == *user_id),
        }
    }
}

/// Counts logouts. What was asked in one generation is not remembered in another: that a
/// logout of somebody else costs one more question is cheaper than to know who was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Generation(u64);

/// Answers, as many as there is room for.
pub(crate) struct Memory(Mutex<Kept>);

struct Kept {
    answers: LruCache<PresentedKey, Remembered>,
    generation: u64,
}

impl Memory {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self(Mutex::new(Kept { answers: LruCache::new(most), generation: 0 }))
    }

    /// To be taken before anything is looked up or asked.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.kept().generation)
    }

    /// What is believed now.
    pub(crate) fn find(&self, key: &PresentedKey, now: Timestamp) -> Option<Remembered> {
        self.kept().answers.get(key).filter(|known| now < known.until).cloned()
    }

    /// Who knew the token, be it long ago.
    pub(crate) fn who_knew(&self, key: &PresentedKey) -> Option<usize> {
        self.kept().answers.peek(key)?.knew
    }

    /// False, and nothing is remembered, if there was a logout since `asked_in`.
    pub(crate) fn remember(&self, key: PresentedKey, answer: Remembered, asked_in: Generation) -> bool {
        let mut kept = self.kept();
        let is_current = kept.generation == asked_in.0;
        if is_current {
            kept.answers.put(key, answer);
        }
        is_current
    }

    /// Looks at everything that is remembered, below a millisecond for 50 000 answers: logouts
    /// are rare, and an index would cost every question.
    pub(crate) fn forget(&self, who: &LoggedOut) {
        let mut kept = self.kept();
        kept.generation += 1;
        let gone = kept.answers.iter().filter(|(key, known)| known.is_of(key, who));
        let gone: Vec<PresentedKey> = gone.map(|(key, _)| *key).collect();
        for key in gone {
            kept.answers.pop(&key);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        kept.generation += 1;
        kept.answers.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Presented;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn key(token: &str, acting_for: Option<&str>) -> PresentedKey {
        Presented { user_id: acting_for.map(str::to_owned), ..Presented::token(token) }.key()
    }

    fn answer(user_id: &str) -> Remembered {
        let requester = Requester {
            user_id: user_id.parse().unwrap(),
            device_id: None,
            is_application_service: true,
            is_guest: false,
        };
        Remembered { answer: Ok(requester), until: NOW + std::time::Duration::from_secs(1), knew: Some(0) }
    }

    fn memory() -> Memory {
        let memory = Memory::new(NonZeroUsize::new(10).unwrap());
        for (token, acting_for, user_id) in
            [("a", None, "@a:x.example"), ("a", Some("b"), "@b:x.example"), ("c", None, "@b:x.example")]
        {
            assert!(memory.remember(key(token, acting_for), answer(user_id), memory.generation()));
        }
        memory
    }

    #[test]
    fn a_token_is_forgotten_whomever_it_acts_for() {
        let memory = memory();

        memory.forget(&LoggedOut::Token(key("a", None).token));

        assert_eq!(memory.find(&key("a", None), NOW), None);
        assert_eq!(memory.find(&key("a", Some("b")), NOW), None);
        assert!(memory.find(&key("c", None), NOW).is_some());
    }

    #[test]
    fn a_user_is_forgotten_whatever_the_token() {
        let memory = memory();

        memory.forget(&LoggedOut::User("@b:x.example".parse().unwrap()));

        assert!(memory.find(&key("a", None), NOW).is_some());
        assert_eq!(memory.find(&key("a", Some("b")), NOW), None);
        assert_eq!(memory.find(&key("c", None), NOW), None);
    }

    #[test]
    fn what_was_asked_before_a_logout_is_not_remembered() {
        let memory = memory();
        let (key, asked_in) = (key("d", None), memory.generation());

        memory.clear();

        assert!(!memory.remember(key, answer("@d:x.example"), asked_in));
        assert_eq!(memory.find(&key, NOW), None);
    }
}
