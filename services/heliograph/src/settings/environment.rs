//! Which variables of the environment are settings.

/// Drops what is not meant as a setting: empty variables, which is how compose files pass
/// on what is not set, and those that Kubernetes makes for a service named `heliograph`.
pub(super) fn only_settings(
    environment: impl IntoIterator<Item = (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    environment.into_iter().filter(|(name, value)| !value.is_empty() && !is_service_link(name, value))
}

/// `X_SERVICE_HOST`, `X_SERVICE_PORT[_NAME]`, `X_PORT` and `X_PORT_80_TCP[_ADDR|_PORT|_PROTO]`.
fn is_service_link(name: &str, value: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let of_service = words.windows(2).any(|pair| matches!(pair, ["SERVICE", "HOST" | "PORT"]));
    let of_port = words.windows(3).any(|words| match words {
        ["PORT", number, "TCP" | "UDP" | "SCTP"] => number.parse::<u16>().is_ok(),
        _ => false,
    });
    of_service || of_port || (name.ends_with("_PORT") && value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_says_of_a_service_named_like_us_is_no_setting() {
        let environment = [
            ("HELIOGRAPH_PORT", "tcp://10.0.0.1:8000"),
            ("HELIOGRAPH_SERVICE_HOST", "10.0.0.1"),
            ("HELIOGRAPH_API_SERVICE_PORT_HTTP", "8000"),
            ("HELIOGRAPH_API_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("HELIOGRAPH_STATE_REDIS_URL", ""),
            ("HELIOGRAPH_API_LISTEN", "127.0.0.1:1"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));

        let names: Vec<String> = only_settings(environment).map(|(name, _)| name).collect();

        assert_eq!(names, ["HELIOGRAPH_API_LISTEN"]);
    }
}
