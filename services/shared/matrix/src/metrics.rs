//! Every metric of this library.

use std::time::Duration;

use metrics::{counter, histogram};

/// A question about a token was not asked: too many are open.
pub(crate) fn whoami_limited() {
    counter!("heliograph_whoami_limited_total").increment(1);
}

/// A question of another kind was not asked: too many are open.
pub(crate) fn homeserver_limited() {
    counter!("heliograph_homeserver_limited_total").increment(1);
}

/// A homeserver of ours was asked something (`whoami`, or `other`), and has answered or not.
pub(crate) fn homeserver_asked(question: &'static str, has_answered: bool, took: Duration) {
    let result = if has_answered { "answered" } else { "failed" };
    histogram!("heliograph_homeserver_request_seconds", "question" => question, "result" => result).record(took);
}

/// A connection to a stranger was opened, or not.
pub(crate) fn connected(result: &'static str) {
    counter!("heliograph_federation_connections_total", "result" => result).increment(1);
}

/// How long that took: the name, the connection, and TLS.
pub(crate) fn connecting_took(took: Duration) {
    histogram!("heliograph_federation_connect_seconds").record(took);
}

/// A server was asked for its well-known file.
pub(crate) fn discovered(result: &'static str) {
    counter!("heliograph_federation_discoveries_total", "result" => result).increment(1);
}
