//! What a value alone shows to be wrong: spans of no length, numbers that no machine or format has.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;

use super::{Found, Settings, homeserver_key, key_of, stores};

/// Threads of one kind: more than any machine has cores.
const MOST_THREADS: usize = 1024;

/// There is room for all of them from the start.
const MOST_REMEMBERED_TOKENS: usize = 10_000_000;

/// With less, not even a small picture could be worked on.
const LEAST_PICTURE_MEMORY: ByteSize = ByteSize::mib(16);

/// All values out of their range, by key.
pub(super) fn find(settings: &Settings) -> Found {
    let mut found = Found::new();
    check_spans(settings, &mut found);
    check_numbers(settings, &mut found);
    found
}

/// With no time, everything would be out of time at once. Of other spans zero has a meaning:
/// not to wait, not to remember.
fn check_spans(settings: &Settings, found: &mut Found) {
    let Settings { api, state, uploads, remote_copies, thumbnails, federation, previews, cluster, edge, .. } = settings;
    let spans = [
        ("api.head_timeout", api.head_timeout),
        ("api.body_timeout", api.body_timeout),
        ("state.timeout", state.timeout),
        ("uploads.unused_lifetime", uploads.unused_lifetime),
        ("uploads.idle_timeout", uploads.idle_timeout),
        ("uploads.max_duration", uploads.max_duration),
        ("uploads.sweep_interval", uploads.sweep_interval),
        ("remote_copies.check_every", remote_copies.check_every),
        ("remote_copies.write_reads_every", remote_copies.write_reads_every),
        ("thumbnails.timeout", thumbnails.timeout),
        ("thumbnails.helper_timeout", thumbnails.helper_timeout),
        ("thumbnails.job_timeout", thumbnails.job_timeout),
        ("federation.find_timeout", federation.find_timeout),
        ("federation.connect_timeout", federation.connect_timeout),
        ("federation.head_timeout", federation.head_timeout),
        ("federation.read_timeout", federation.read_timeout),
        ("federation.rate_window", federation.rate_window),
        ("federation.fetch_timeout", federation.fetch_timeout),
        ("federation.origin_period", federation.origin_period),
        ("previews.timeout", previews.timeout),
        ("previews.read_timeout", previews.read_timeout),
        ("previews.max_lifetime", previews.max_lifetime),
        ("edge.head_timeout", edge.head_timeout),
        ("edge.body_timeout", edge.body_timeout),
        ("edge.connect_timeout", edge.connect_timeout),
        ("edge.answer_timeout", edge.answer_timeout),
        ("cluster.resolve_every", cluster.resolve_every),
        ("cluster.uploads_timeout", cluster.uploads_timeout),
        ("cluster.completion_timeout", cluster.completion_timeout),
        ("cluster.thumbnails_timeout", cluster.thumbnails_timeout),
        ("cluster.federation_timeout", cluster.federation_timeout),
    ];
    let homeservers = settings.homeservers.iter().enumerate();
    let spans = homeservers
        .map(|(index, homeserver)| (homeserver_key(index, "timeout"), homeserver.timeout))
        .chain(spans.map(|(key, span)| (key.to_owned(), span)))
        .chain(
            settings.quotas.iter().enumerate().map(|(index, quota)| (key_of("quota", index, "period"), quota.period)),
        )
        .chain(stores::spans(settings));
    let zero = spans.filter(|(_, span)| *span == Duration::ZERO);
    found.extend(zero.map(|(key, _)| (key, "must be longer than zero".to_owned())));
}

fn check_numbers(settings: &Settings, found: &mut Found) {
    let threads = [
        ("api.workers", settings.api.workers),
        ("edge.workers", settings.edge.workers),
        ("thumbnails.workers", settings.thumbnails.workers),
        ("process.actor_threads", settings.process.actor_threads),
    ];
    for (key, threads) in threads {
        check_most(key.to_owned(), threads.map_or(0, NonZeroUsize::get), MOST_THREADS, found);
    }
    for (index, homeserver) in settings.homeservers.iter().enumerate() {
        let tokens = homeserver.max_remembered_tokens.get();
        check_most(homeserver_key(index, "max_remembered_tokens"), tokens, MOST_REMEMBERED_TOKENS, found);
    }
    let memory = [("memory", settings.thumbnails.memory), ("job_memory", Some(settings.thumbnails.job_memory))];
    for (field, memory) in memory {
        if let Some(memory) = memory.filter(|memory| *memory < LEAST_PICTURE_MEMORY) {
            found.push((
                format!("thumbnails.{field}"),
                format!("must be at least {LEAST_PICTURE_MEMORY}, not {memory}"),
            ));
        }
    }
    let thumbnails = &settings.thumbnails;
    let qualities = [
        ("jpeg_quality", thumbnails.jpeg_quality),
        ("webp_quality", thumbnails.webp_quality),
        ("avif_quality", thumbnails.avif_quality),
    ];
    let wrong = qualities.into_iter().filter(|(_, quality)| !(1..=100).contains(quality));
    found.extend(
        wrong.map(|(field, quality)| (format!("thumbnails.{field}"), format!("must be from 1 to 100, not {quality}"))),
    );
}

fn check_most(key: String, value: usize, most: usize, found: &mut Found) {
    if value > most {
        found.push((key, format!("must be at most {most}, not {value}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Role;

    fn keys(section: &str, lines: &str) -> Vec<String> {
        // What does not fit to other settings is not asked for here.
        let (settings, _) = Settings::read(&format!("{section}\n{lines}"), [], &[]);
        find(&settings).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn the_defaults_are_in_range() {
        assert_eq!(keys("", ""), [""; 0]);
    }

    #[test]
    fn a_span_without_which_nothing_works_is_not_zero() {
        for (section, fields) in [
            ("homeserver", &["timeout"][..]),
            ("api", &["head_timeout", "body_timeout"]),
            ("storage", &["connect_timeout", "read_timeout"]),
            ("store", &["connect_timeout", "read_timeout"]),
            ("state", &["timeout"]),
            ("uploads", &["unused_lifetime", "idle_timeout", "max_duration", "sweep_interval"]),
            ("quota", &["period"]),
            ("remote_copies", &["check_every", "write_reads_every"]),
            ("thumbnails", &["timeout", "helper_timeout", "job_timeout"]),
            (
                "federation",
                &["find_timeout", "connect_timeout", "head_timeout", "read_timeout", "rate_window", "fetch_timeout"],
            ),
            ("previews", &["timeout", "read_timeout"]),
            ("edge", &["head_timeout", "body_timeout", "connect_timeout", "answer_timeout"]),
            ("cluster", &["uploads_timeout", "completion_timeout", "thumbnails_timeout", "federation_timeout"]),
            ("cluster", &["resolve_every"]),
        ] {
            let is_several = matches!(section, "homeserver" | "store" | "quota");
            let header = if is_several { format!("[[{section}]]") } else { format!("[{section}]") };
            for field in fields {
                assert_eq!(keys(&header, &format!("{field} = \"0s\"")), [format!("{section}.{field}")]);
                assert_eq!(keys(&header, &format!("{field} = \"1ms\"")), [""; 0]);
            }
        }
    }

    #[test]
    fn a_span_of_which_zero_has_a_meaning_may_be_zero() {
        let files = [
            "[process]\nshutdown_grace = \"0s\"",
            "[process]\ndrain_delay = \"0s\"",
            "[api]\nmax_wait = \"0s\"",
            "[federation]\nremember_failed = \"0s\"",
        ];

        for file in files {
            assert!(Settings::load(file, [], &[], Role::Serve).is_ok(), "{file}");
        }
    }

    #[test]
    fn there_are_not_more_threads_than_any_machine_has_cores() {
        for (section, field) in
            [("api", "workers"), ("edge", "workers"), ("thumbnails", "workers"), ("process", "actor_threads")]
        {
            let header = format!("[{section}]");
            assert_eq!(keys(&header, &format!("{field} = 99999999")), [format!("{section}.{field}")]);
            assert_eq!(keys(&header, &format!("{field} = 1024")), [""; 0]);
        }
        let tokens = "max_remembered_tokens = 1000000000000";
        assert_eq!(keys("[[homeserver]]\n[[homeserver]]", tokens), ["homeserver[1].max_remembered_tokens"]);
    }

    #[test]
    fn pictures_have_some_memory() {
        for field in ["memory", "job_memory"] {
            for (memory, bad) in [("0", true), ("15 MiB", true), ("16 MiB", false)] {
                let keys = keys("[thumbnails]", &format!("{field} = \"{memory}\""));
                assert_eq!(!keys.is_empty(), bad, "{field} {memory}");
            }
        }
    }

    #[test]
    fn quality_is_a_percentage() {
        for format in ["jpeg", "webp", "avif"] {
            for (quality, bad) in [(0, true), (1, false), (100, false), (101, true)] {
                let keys = keys("[thumbnails]", &format!("{format}_quality = {quality}"));
                assert_eq!(!keys.is_empty(), bad, "{format} {quality}");
            }
        }
    }
}
