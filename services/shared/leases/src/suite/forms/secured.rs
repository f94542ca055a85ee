//! One server with a password, over TLS.

use std::sync::Arc;

use heliograph_types::Secret;

use super::{PASSWORD, Papers, Redis};
use crate::{
    StateConfig,
    suite::server::{RedisServer, Special},
};

/// One server with a password, over TLS.
pub(in crate::suite) struct Secured {
    pub(in crate::suite) papers: Arc<Papers>,
    server: RedisServer,
}

impl Secured {
    /// For 127.0.0.1.
    pub(in crate::suite) fn start() -> Option<Self> {
        Self::start_with(Papers::new("127.0.0.1", false, false))
    }

    /// At 127.0.0.1, with these papers.
    pub(in crate::suite) fn start_with(papers: Papers) -> Option<Self> {
        let papers = Arc::new(papers);
        let password = Some(PASSWORD.to_owned());
        let server =
            RedisServer::start_special(&Special { password, papers: Some(Arc::clone(&papers)), ..Special::default() })?;
        Some(Self { papers, server })
    }

    /// Asks it something, without TLS.
    pub(in crate::suite) fn tell(&self, command: &str) -> String {
        self.server.tell(command)
    }
}

impl Redis for Secured {
    fn config(&self) -> StateConfig {
        StateConfig {
            redis_url: Some(Secret::new(format!("rediss://127.0.0.1:{}/1", self.server.open_port()))),
            redis_password: Some(Secret::new(PASSWORD.to_owned())),
            redis_ca_file: Some(self.papers.authority.file()),
            ..StateConfig::default()
        }
    }
}
