//! What works on pictures: the jail, and the programs that are installed for films, music and PDFs.

use heliograph_thumbnailer::{JailChoice, Support, ThumbnailsConfig, try_helpers};
use heliograph_types::{Finding, Trial};

use super::Patient;
use crate::render_worker::render_workers;

/// The trial of the jail.
pub(super) fn jail(config: &ThumbnailsConfig) -> Trial {
    Trial::new("thumbnails.jail", try_jail(config.clone()))
}

/// The trials of the programs, if there are any.
pub(super) fn helpers(config: &ThumbnailsConfig) -> Option<Patient> {
    let helpers = try_helpers(config);
    (!helpers.is_empty()).then(|| Patient::new("helpers", "", helpers))
}

/// Starts a worker for pictures, and asks what has been taken from it.
async fn try_jail(config: ThumbnailsConfig) -> Finding {
    let (jail, trial) = (config.jail, tokio::task::spawn_blocking(move || render_workers().try_out(&config)));
    match trial.await {
        Ok(Ok(support)) => judge_jail(jail, support),
        Ok(Err(lost)) => Finding::fail(
            format!("no process can be started that works on pictures: {lost}"),
            "let heliograph start its own file, /proc/self/exe, as another process",
        ),
        Err(error) => super::broken(&error.to_string()),
    }
}

fn judge_jail(jail: JailChoice, support: Support) -> Finding {
    let missing = support.missing().join(", ");
    match jail {
        JailChoice::Off => {
            Finding::note("switched off: only memory and time of pictures are bounded", "set it to available")
        }
        JailChoice::Strict if !support.is_strict() => Finding::fail(
            format!("this system lacks {missing}"),
            "use another kernel or container runtime, or set thumbnails.jail to available",
        ),
        _ if missing.is_empty() => Finding::ok(format!(
            "pictures are worked on with seccomp and landlock {}",
            support.landlock.unwrap_or_default()
        )),
        _ => Finding::note(
            format!("this system lacks {missing}"),
            "use another kernel or container runtime, if pictures come from strangers",
        ),
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::Verdict;

    use super::*;

    #[test]
    fn a_jail_with_holes_is_a_failure_only_where_it_must_be_strict() {
        let whole = Support { seccomp: true, landlock: Some(3), no_new_privileges: true, memory_per_call: true };
        let open = Support { landlock: None, ..whole };
        let verdict = |jail, support| judge_jail(jail, support).verdict;

        assert_eq!(verdict(JailChoice::Strict, whole), Verdict::Ok);
        assert_eq!(verdict(JailChoice::Available, whole), Verdict::Ok);
        assert_eq!(verdict(JailChoice::Strict, open), Verdict::Fail);
        assert_eq!(verdict(JailChoice::Available, open), Verdict::Note);
        assert_eq!(verdict(JailChoice::Off, whole), Verdict::Note);
    }
}
