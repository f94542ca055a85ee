//! Which URLs are visited, whatever their addresses.

use heliograph_matrix::PreviewsConfig;
use url::Url;
use wildmatch::WildMatch;

/// The rules of the operator, and which ports are those of web sites.
#[derive(Debug)]
pub(crate) struct Rules {
    allowed_hosts: Vec<WildMatch>,
    denied_hosts: Vec<WildMatch>,
    denied_urls: Vec<WildMatch>,
}

impl Rules {
    pub(crate) fn new(config: &PreviewsConfig) -> Self {
        let hosts = |list: &[String]| list.iter().map(|pattern| WildMatch::new(&pattern.to_lowercase())).collect();
        Self {
            allowed_hosts: hosts(&config.allowed_hosts),
            denied_hosts: hosts(&config.denied_hosts),
            denied_urls: config.denied_urls.iter().map(|pattern| WildMatch::new(pattern)).collect(),
        }
    }

    /// Whether a URL may be visited, as far as it shows that itself.
    pub(crate) fn permit(&self, url: &Url) -> bool {
        let Some(host) = url.host_str().map(|host| host.trim_end_matches('.')) else { return false };
        let is_in = |list: &[WildMatch], text: &str| list.iter().any(|pattern| pattern.matches(text));
        matches!(url.scheme(), "http" | "https")
            && matches!(url.port_or_known_default(), Some(80 | 443 | 1024..))
            && (self.allowed_hosts.is_empty() || is_in(&self.allowed_hosts, host))
            && !is_in(&self.denied_hosts, host)
            && !is_in(&self.denied_urls, url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(config: &PreviewsConfig, url: &str) -> bool {
        Rules::new(config).permit(&url.parse().unwrap())
    }

    #[test]
    fn sites_are_where_sites_are() {
        for (url, is_fine) in [
            ("https://a.example/", true),
            ("http://a.example:443/", true),
            ("http://a.example:8080/", true),
            ("http://a.example:22/", false),
            ("http://a.example:1023/", false),
            ("ftp://a.example/", false),
            ("data:text/html,x", false),
        ] {
            assert_eq!(permits(&PreviewsConfig::default(), url), is_fine, "{url}");
        }
    }

    #[test]
    fn the_operator_says_which_hosts_and_urls() {
        let list = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
        let config = || PreviewsConfig {
            allowed_hosts: list(&["*.Example.org"]),
            denied_hosts: list(&["bad.*"]),
            denied_urls: list(&["*://*/private/*"]),
            ..PreviewsConfig::default()
        };
        for (url, is_fine) in [
            ("https://a.example.org/", true),
            ("https://A.EXAMPLE.org./", true),
            ("https://example.org/", false),
            ("https://a.example.org.evil.example/", false),
            ("https://bad.example.org/", false),
            ("https://bad.example.org./", false),
            ("https://a.example.org/private/x", false),
        ] {
            assert_eq!(permits(&config(), url), is_fine, "{url}");
        }
    }
}
