//! What an origin is asked for, and under which path.

use std::time::Duration;

use heliograph_proto::Fetch;
use heliograph_types::{Mxc, ServerName, ThumbnailSpec};

/// Asked in the name of a server of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) tenant: &'a ServerName,
    pub(crate) mxc: &'a Mxc,
    pub(crate) what: What,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The medium itself. The origin may wait so long for its upload.
    Content(Duration),
    /// The origin's thumbnail of it.
    Thumbnail(ThumbnailSpec),
}

impl<'a> Question<'a> {
    pub(crate) const fn of(Fetch { tenant, mxc, timeout, .. }: &'a Fetch) -> Self {
        Self { tenant, mxc, what: What::Content(*timeout) }
    }

    /// How long the origin may think before it answers.
    pub(crate) const fn wait(&self) -> Duration {
        match self.what {
            What::Content(wait) => wait,
            What::Thumbnail(_) => Duration::ZERO,
        }
    }
}

/// The ways to ask, newest first. Each is tried only if those before are unknown there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Federation,
    LegacyV3,
    LegacyR0,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 3] = [Self::Federation, Self::LegacyV3, Self::LegacyR0];

    /// Path and query. Never lets the origin ask a third server.
    pub(crate) fn target(self, Question { mxc, what, .. }: &Question<'_>) -> String {
        let Mxc { server_name, media_id } = mxc;
        let (kind, mut parameters) = match what {
            What::Content(_) => ("download", Vec::new()),
            What::Thumbnail(spec) => ("thumbnail", thumbnail_parameters(spec)),
        };
        if self != Self::Federation {
            parameters.push("allow_remote=false".to_owned());
        }
        if self == Self::LegacyV3 {
            parameters.push("allow_redirect=true".to_owned());
        }
        if let (What::Content(wait), Self::Federation | Self::LegacyV3) = (what, self) {
            parameters.push(format!("timeout_ms={}", wait.as_millis()));
        }
        let query = parameters.join("&");
        match self {
            Self::Federation => format!("/_matrix/federation/v1/media/{kind}/{media_id}?{query}"),
            Self::LegacyV3 => format!("/_matrix/media/v3/{kind}/{server_name}/{media_id}?{query}"),
            Self::LegacyR0 => format!("/_matrix/media/r0/{kind}/{server_name}/{media_id}?{query}"),
        }
    }
}

fn thumbnail_parameters(ThumbnailSpec { width, height, method, animated }: &ThumbnailSpec) -> Vec<String> {
    let size = [format!("width={width}"), format!("height={height}")];
    size.into_iter().chain([format!("method={method}"), format!("animated={animated}")]).collect()
}

#[cfg(test)]
mod tests {
    use heliograph_types::ThumbnailMethod;

    use super::*;

    #[test]
    fn a_thumbnail_is_asked_for_by_the_same_rules_as_content() {
        let (tenant, mxc) = ("us.example".parse().unwrap(), "mxc://there.example/m1".parse().unwrap());
        let spec = ThumbnailSpec { width: 320, height: 240, method: ThumbnailMethod::Scale, animated: false };
        let targets = |what| {
            let question = Question { tenant: &tenant, mxc: &mxc, what };
            Endpoint::ALL.map(|endpoint| endpoint.target(&question))
        };
        let asked = "width=320&height=240&method=scale&animated=false";

        assert_eq!(
            targets(What::Thumbnail(spec)),
            [
                format!("/_matrix/federation/v1/media/thumbnail/m1?{asked}"),
                format!("/_matrix/media/v3/thumbnail/there.example/m1?{asked}&allow_remote=false&allow_redirect=true"),
                format!("/_matrix/media/r0/thumbnail/there.example/m1?{asked}&allow_remote=false"),
            ]
        );
        assert_eq!(
            targets(What::Content(Duration::from_secs(2))),
            [
                "/_matrix/federation/v1/media/download/m1?timeout_ms=2000",
                "/_matrix/media/v3/download/there.example/m1?allow_remote=false&allow_redirect=true&timeout_ms=2000",
                "/_matrix/media/r0/download/there.example/m1?allow_remote=false",
            ]
        );
    }
}
