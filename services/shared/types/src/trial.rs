//! What was tried on the real thing, and what that has shown: for the operator.

use std::{fmt, future::Future, pin::Pin};

use serde::Serialize;

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but the operator should know.
    Note,
    /// It does not work.
    Fail,
}

impl Verdict {
    /// As it stands in front of a line: what is wrong is loud.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fail => "FAIL",
        }
    }
}

/// What a trial has shown. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub told: String,
    /// What to do, if something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub fn ok(told: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, told: told.into(), advice: None }
    }

    /// It works, but this should be known.
    pub fn note(told: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, told: told.into(), advice: Some(advice.into()) }
    }

    /// It does not work, and this is what to do.
    pub fn fail(told: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, told: told.into(), advice: Some(advice.into()) }
    }

    /// It does not work: a failure if it is `needed`, else a note.
    pub fn lacking(needed: bool, told: impl Into<String>, advice: impl Into<String>) -> Self {
        if needed { Self::fail(told, advice) } else { Self::note(told, advice) }
    }
}

/// Something to be tried.
pub struct Trial {
    /// What, in a few words.
    pub name: String,
    /// Tries it. May be dropped when it takes too long.
    pub run: Pin<Box<dyn Future<Output = Finding> + Send>>,
}

impl Trial {
    /// Something to be tried by `run`.
    pub fn new(name: impl Into<String>, run: impl Future<Output = Finding> + Send + 'static) -> Self {
        Self { name: name.into(), run: Box::pin(run) }
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trial").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_fails_only_where_it_is_needed() {
        assert_eq!(Finding::lacking(true, "a", "b").verdict, Verdict::Fail);
        assert_eq!(Finding::lacking(false, "a", "b").verdict, Verdict::Note);
    }
}
