//! What we call ourselves towards sites, and what comes next if one refuses that.

use std::sync::LazyLock;

use serde::Deserialize;
use url::Url;

use crate::address::is_host;

static BUILT_IN: LazyLock<Agents> =
    LazyLock::new(|| Agents::parse(include_str!("data/agents.toml")).unwrap_or_default());

/// The chain of user agents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    refusals: Vec<u16>,
    #[serde(rename = "agents")]
    names: Vec<String>,
    #[serde(default)]
    site: Vec<Site>,
}

/// The text is no chain of user agents.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no chain of user agents: {0}")]
pub struct InvalidAgents(String);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    hosts: Vec<String>,
    first: usize,
}

impl Default for Agents {
    fn default() -> Self {
        Self { refusals: Vec::new(), names: vec!["Heliograph/{version} (+{contact})".to_owned()], site: Vec::new() }
    }
}

impl Agents {
    /// The chain that comes with us.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a chain as `data/agents.toml` has it.
    pub fn parse(text: &str) -> Result<Self, InvalidAgents> {
        let chain: Self = toml::from_str(text).map_err(|error| InvalidAgents(error.to_string()))?;
        let is_header = |agent: &String| agent.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if chain.names.is_empty() || !chain.names.iter().all(is_header) {
            return Err(InvalidAgents("each agent is a line of ASCII, and there is at least one".to_owned()));
        }
        match chain.site.iter().find(|site| site.first >= chain.names.len()) {
            Some(site) => Err(InvalidAgents(format!("there is no agent {}", site.first))),
            None => Ok(chain),
        }
    }

    /// What to say at `url`, one after the other, as long as it is refused.
    pub fn chain(&self, url: &Url, version: &str, contact: &str) -> Vec<String> {
        let host = url.host_str().unwrap_or_default();
        let site = self.site.iter().find(|site| site.hosts.iter().any(|pattern| is_host(pattern, host)));
        let first = site.map(|site| site.first);
        let rest = (0..self.names.len()).filter(|place| Some(*place) != first);
        let order = first.into_iter().chain(rest).filter_map(|place| self.names.get(place));
        order.map(|agent| agent.replace("{version}", version).replace("{contact}", contact)).collect()
    }

    /// Whether a status may mean that the site does not know us, so that the next may be tried.
    pub fn is_refusal(&self, status: u16) -> bool {
        self.refusals.contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(url: &str) -> Vec<String> {
        Agents::built_in().chain(&url.parse().unwrap(), "1.2", "https://m.example")
    }

    #[test]
    fn the_chain_that_comes_with_us_says_who_we_are() {
        let chain = chain("https://example.org/");

        assert!(chain.len() > 1);
        assert!(chain.iter().all(|agent| agent.contains("Heliograph/1.2") && agent.contains("+https://m.example")));
    }

    #[test]
    fn a_site_is_first_told_what_it_is_known_to_like() {
        let (usual, known) = (chain("https://example.org/"), chain("https://www.reddit.com/r/a"));

        assert_eq!(known[0], usual[2]);
        assert_eq!(known.len(), usual.len());
        assert_eq!(chain("https://127.0.0.1/"), usual);
    }

    #[test]
    fn only_some_statuses_are_worth_another_name() {
        let agents = Agents::built_in();

        assert!(agents.is_refusal(403) && agents.is_refusal(999));
        assert!(!agents.is_refusal(404) && !agents.is_refusal(429) && !agents.is_refusal(500));
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        for text in [
            "refusals = []\nagents = []",
            "refusals = []\nagents = ['a\u{e4}']",
            "refusals = []\nagents = ['a']\n[[site]]\nhosts = ['x']\nfirst = 1",
            "agents = 3",
        ] {
            assert!(Agents::parse(text).is_err(), "{text}");
        }
    }
}
