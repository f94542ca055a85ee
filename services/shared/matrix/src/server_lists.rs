//! Which servers there are for us: those that are blocked, and those that alone are allowed.

use std::net::Ipv6Addr;

use heliograph_types::ServerName;
use wildmatch::WildMatch;

use crate::FederationConfig;

/// The block list and the allow list of the settings.
#[derive(Debug, Clone, Default)]
pub struct ServerLists {
    blocked: Vec<WildMatch>,
    allowed: Vec<WildMatch>,
}

impl ServerLists {
    /// Those of `config`.
    pub fn new(config: &FederationConfig) -> Self {
        let read =
            |patterns: &[String]| patterns.iter().map(|pattern| WildMatch::new(&pattern.to_lowercase())).collect();
        Self { blocked: read(&config.blocked_servers), allowed: read(&config.allowed_servers) }
    }

    /// Whether we have to do with this server. Our own names are not to be asked about.
    pub fn admit(&self, name: &ServerName) -> bool {
        if self.blocked.is_empty() && self.allowed.is_empty() {
            return true;
        }
        let spellings = spellings(name);
        let is_in = |list: &[WildMatch]| list.iter().any(|pattern| spellings.iter().any(|name| pattern.matches(name)));
        !is_in(&self.blocked) && (self.allowed.is_empty() || is_in(&self.allowed))
    }
}

/// The name with its port and without. To Matrix two spellings are two servers; but whoever
/// has one of them has the others too, and must not pass a list by them.
fn spellings(name: &ServerName) -> [String; 2] {
    let host = name.host().to_lowercase();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::parse::<Ipv6Addr>);
    let host = match address {
        Some(Ok(address)) => format!("[{address}]"),
        _ => host.trim_end_matches('.').to_owned(),
    };
    let whole = name.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    [host, whole]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(blocked: &[&str], allowed: &[&str]) -> ServerLists {
        let owned = |list: &[&str]| list.iter().map(|&pattern| pattern.to_owned()).collect();
        ServerLists::new(&FederationConfig {
            blocked_servers: owned(blocked),
            allowed_servers: owned(allowed),
            ..FederationConfig::default()
        })
    }

    fn admitted<'a>(lists: &ServerLists, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| lists.admit(&name.parse().unwrap())).collect()
    }

    #[test]
    fn without_lists_everybody_is_admitted() {
        assert_eq!(admitted(&lists(&[], &[]), &["a.example", "[::1]:1"]), ["a.example", "[::1]:1"]);
    }

    #[test]
    fn a_pattern_without_a_port_is_for_every_port_and_one_with_a_port_for_that_one() {
        let lists = lists(&["*.evil.example", "bad.example:8448", "127.0.0.?"], &[]);

        let names = ["a.evil.example", "a.evil.example:8448", "b.a.evil.example:1", "127.0.0.9:1", "bad.example:8448"];
        assert_eq!(admitted(&lists, &names), [""; 0]);
        let names = ["evil.example", "evil.example.org", "bad.example", "bad.example:84480", "127.0.0.10"];
        assert_eq!(admitted(&lists, &names[..3]), names[..3]);
        assert!(lists.admit(&names[4].parse().unwrap()));
    }

    #[test]
    fn no_other_spelling_of_a_name_passes_the_list() {
        let lists = lists(&["Evil.example", "[2001:db8::1]"], &[]);

        let names = ["EVIL.example", "evil.example.", "evil.example.:8448", "[2001:DB8:0:0::1]:8448"];
        assert_eq!(admitted(&lists, &names), [""; 0]);
    }

    #[test]
    fn of_an_allow_list_only_those_who_are_not_blocked_are_admitted() {
        let lists = lists(&["worse.friends.example"], &["*.friends.example", "one.example"]);

        let names = ["a.friends.example:1", "one.example", "worse.friends.example", "two.example"];
        assert_eq!(admitted(&lists, &names), ["a.friends.example:1", "one.example"]);
    }
}
