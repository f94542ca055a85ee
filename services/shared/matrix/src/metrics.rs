//! Every metric of this library.

use metrics::counter;

/// A question about a token was not asked: too many are open.
pub(crate) fn whoami_limited() {
    counter!("heliograph_whoami_limited_total").increment(1);
}

/// A question of another kind was not asked: too many are open.
pub(crate) fn homeserver_limited() {
    counter!("heliograph_homeserver_limited_total").increment(1);
}

/// A connection to a stranger was opened, or not.
pub(crate) fn connected(result: &'static str) {
    counter!("heliograph_federation_connections_total", "result" => result).increment(1);
}

/// A server was asked for its well-known file.
pub(crate) fn discovered(result: &'static str) {
    counter!("heliograph_federation_discoveries_total", "result" => result).increment(1);
}
