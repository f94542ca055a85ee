//! Settings of the shared state.

heliograph_settings::settings! {
    /// Coordination between instances: leases, signals, limits, caches, indexes, ledgers.
    pub struct StateConfig {
        /// Where Redis is, such as `redis://host:6379/0`. Without it the state is embedded:
        /// right for one process, wrong for several.
        pub redis_url: Option<heliograph_types::Secret<String>> = None,
        /// Stands before every key in Redis, so that several deployments can share one.
        pub key_prefix: String = "heliograph:".to_owned(),
        /// How long a command may take before Redis counts as unreachable.
        pub timeout: std::time::Duration = std::time::Duration::from_secs(1),
    }
}
