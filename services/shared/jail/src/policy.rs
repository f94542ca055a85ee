//! What is taken from a worker.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// How much must be taken from workers, on systems that do not offer everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jail {
    /// Everything: else there are no workers.
    Strict,
    /// What the system offers.
    #[default]
    Available,
    /// Memory and time are bounded; calls and files are not.
    Off,
}

/// No kind of jail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be strict, available or off")]
pub struct UnknownJail;

impl Jail {
    const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Available => "available",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Jail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Jail {
    type Err = UnknownJail;

    fn from_str(name: &str) -> Result<Self, UnknownJail> {
        [Self::Strict, Self::Available, Self::Off].into_iter().find(|jail| jail.name() == name).ok_or(UnknownJail)
    }
}

/// What a worker may use up, over all of its life. A budget bounds single calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space beyond what the program has at its start, in bytes: memory, and files that are mapped.
    pub memory_bytes: u64,
    /// Time on the processor. A worker that nobody watches any more ends by then.
    pub processor: Duration,
    /// Files that are open at once.
    pub open_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 1 << 30, processor: Duration::from_hours(4), open_files: 16 }
    }
}

/// What is taken from a worker. Travels to it on its command line, since it has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Calls and files.
    pub jail: Jail,
    /// The rest.
    pub limits: Limits,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Policy {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_survives_the_command_line() {
        let limits = Limits { memory_bytes: 7, processor: Duration::from_millis(1500), open_files: 3 };

        for jail in [Jail::Strict, Jail::Available, Jail::Off] {
            let policy = Policy { jail, limits };
            assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
            assert_eq!(jail.to_string().parse(), Ok(jail));
        }
        assert_eq!("Strict".parse::<Jail>(), Err(UnknownJail));
    }
}
