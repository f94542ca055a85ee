//! How much each user may store.

use std::time::Duration;

use bytesize::ByteSize;
use heliograph_leases::{Allowance, Exceeded};
use heliograph_types::{AccountLimit, ErrorCode, Failure, UserId};
use url::Url;
use wildmatch::WildMatch;

heliograph_settings::settings! {
    /// How much users may store. The first section whose `users` match counts; without any,
    /// there is no limit but `uploads.max_bytes` for each file.
    pub struct QuotaConfig {
        /// Whom it is for: user ids, where `*` stands for anything and `?` for one character.
        pub users: Vec<String> = vec!["*".to_owned()],
        /// Bytes that such a user may have stored. An upload that would be over it is refused
        /// with 403 before its body is read; one without a length, when it is complete.
        pub max_bytes: Option<ByteSize> = None,
        /// Media that such a user may have stored.
        pub max_files: Option<u64> = None,
        /// Bytes that such a user may upload within `period`, deleted since or not.
        pub max_bytes_per_period: Option<ByteSize> = None,
        /// The time that `max_bytes_per_period` is for. It moves in steps of a 32nd of it.
        pub period: Duration = Duration::from_hours(30 * 24),
        /// A page that explains the quota. With it the error is `M_USER_LIMIT_EXCEEDED`
        /// (MSC4335), which clients show with a link; without it, `M_FORBIDDEN`.
        pub info_uri: Option<Url> = None,
        /// Whether the page offers more to those who ask, or pay, for it.
        pub can_upgrade: bool = false,
    }
}

/// The quotas of all users.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quotas(Vec<(Vec<WildMatch>, QuotaConfig)>);

impl Quotas {
    pub(crate) fn new(configs: Vec<QuotaConfig>) -> Self {
        let patterns = |config: &QuotaConfig| config.users.iter().map(|pattern| WildMatch::new(pattern)).collect();
        Self(configs.into_iter().map(|config| (patterns(&config), config)).collect())
    }

    /// The first that is for this user. What previews keep is nobody's.
    pub(crate) fn find(&self, user: &UserId) -> Option<&QuotaConfig> {
        if user.is_of_previews() {
            return None;
        }
        let is_for = |patterns: &[WildMatch]| patterns.iter().any(|pattern| pattern.matches(user.as_str()));
        self.0.iter().find(|(patterns, _)| is_for(patterns)).map(|(_, config)| config)
    }
}

impl QuotaConfig {
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance {
            most_bytes: self.max_bytes.map(|size| size.as_u64()),
            most_files: self.max_files,
            most_bytes_per_period: self.max_bytes_per_period.map(|size| (size.as_u64(), self.period)),
        }
    }

    /// What the user is told.
    pub(crate) fn refusal(&self, exceeded: &Exceeded) -> Failure {
        let message = match exceeded {
            Exceeded::Bytes => format!("this account may store {} and no more", show(self.max_bytes)),
            Exceeded::Files => format!("this account may store {} files and no more", self.max_files.unwrap_or(0)),
            Exceeded::Period { retry_after } => format!(
                "this account may upload {} within {}; there is room again in {}",
                show(self.max_bytes_per_period),
                humantime::format_duration(self.period),
                humantime::format_duration(Duration::from_secs(retry_after.as_secs().max(1))),
            ),
        };
        let Some(info_uri) = &self.info_uri else { return Failure::new(ErrorCode::Forbidden, message) };
        let mut failure = Failure::new(ErrorCode::UserLimitExceeded, message);
        failure.account_limit = Some(AccountLimit { info_uri: info_uri.to_string(), can_upgrade: self.can_upgrade });
        failure
    }
}

fn show(size: Option<ByteSize>) -> String {
    size.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(users: &[&str], max_files: u64) -> QuotaConfig {
        let users = users.iter().map(|&pattern| pattern.to_owned()).collect();
        QuotaConfig { users, max_files: Some(max_files), ..QuotaConfig::default() }
    }

    #[test]
    fn the_first_quota_that_matches_counts() {
        let quotas = Quotas::new(vec![quota(&["@admin:*", "@b?b:a.example"], 1), quota(&["*:a.example"], 2)]);
        let most = |user: &str| quotas.find(&user.parse().unwrap()).and_then(|quota| quota.max_files);

        assert_eq!(most("@admin:b.example"), Some(1));
        assert_eq!(most("@bob:a.example"), Some(1));
        assert_eq!(most("@boob:a.example"), Some(2));
        assert_eq!(most("@boob:b.example"), None);
    }

    #[test]
    fn a_page_that_explains_makes_it_the_users_own_limit() {
        let without = quota(&["*"], 7);
        let with = QuotaConfig { info_uri: Some("https://a.example/more".parse().unwrap()), ..without.clone() };

        let told = with.refusal(&Exceeded::Files);

        assert_eq!(without.refusal(&Exceeded::Files).code, ErrorCode::Forbidden);
        assert_eq!(told.code, ErrorCode::UserLimitExceeded);
        assert_eq!(told.account_limit.map(|limit| limit.info_uri).as_deref(), Some("https://a.example/more"));
        assert!(told.message.contains("7 files"), "{}", told.message);
    }
}
