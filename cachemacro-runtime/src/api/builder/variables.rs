//! Variables of the environment that look like settings and are none: most probably misspelt.

use std::ffi::OsString;

use strsim::osa_distance;

use crate::observe::warning::Warning;

/// All variables that are read, also by features that are not built in. Each ends with the name of a setting behind `CACHEMACRO`.
const KNOWN: &[&str] = &[
    "CACHEMACRO_BREAKER",
    "CACHEMACRO_BREAKER_FAILURES",
    "CACHEMACRO_BREAKER_LONGEST_PAUSE",
    "CACHEMACRO_BREAKER_PAUSE",
    "CACHEMACRO_BREAKER_RATE",
    "CACHEMACRO_BREAKER_SLOW",
    "CACHEMACRO_BREAKER_WINDOW",
    "CACHEMACRO_CAPACITY",
    "CACHEMACRO_CODEC",
    "CACHEMACRO_COMMAND_TIMEOUT",
    "CACHEMACRO_COMPRESS_OVER",
    "CACHEMACRO_CONNECT_TIMEOUT",
    "CACHEMACRO_DEADLINE",
    "CACHEMACRO_DISABLED",
    "CACHEMACRO_EPOCH_CHECK",
    "CACHEMACRO_EVICT_REPLICAS",
    "CACHEMACRO_HANDLES",
    "CACHEMACRO_HEALTH_INTERVAL",
    "CACHEMACRO_HOT_KEYS",
    "CACHEMACRO_JITTER",
    "CACHEMACRO_KEEPALIVE",
    "CACHEMACRO_LEASE_LIMIT",
    "CACHEMACRO_LOCAL",
    "CACHEMACRO_LOCAL_CAPACITY",
    "CACHEMACRO_LOCAL_MAX_VALUE",
    "CACHEMACRO_MAX_AGE",
    "CACHEMACRO_MAX_LIFE",
    "CACHEMACRO_MAX_VALUE",
    "CACHEMACRO_NAMESPACE",
    "CACHEMACRO_NEGATIVES",
    "CACHEMACRO_POOL_MIN",
    "CACHEMACRO_POOL_SIZE",
    "CACHEMACRO_POOL_WAIT",
    "CACHEMACRO_REDIS_URL",
    "CACHEMACRO_REFRESH",
    "CACHEMACRO_REPORT",
    "CACHEMACRO_RETRIES",
    "CACHEMACRO_RETRY_AFTER",
    "CACHEMACRO_RETRY_BUDGET",
    "CACHEMACRO_RETRY_DELAY",
    "CACHEMACRO_SEAL_KEYS",
    "CACHEMACRO_SEAL_NAMES",
    "CACHEMACRO_SEAL_ONLY",
    "CACHEMACRO_STALE",
    "CACHEMACRO_STORE",
    "CACHEMACRO_TAG_NAMES",
    "CACHEMACRO_TTL",
    "CACHEMACRO_USER_TIMEOUT",
    "CACHEMACRO_VERIFY",
    "CACHEMACRO_WAIT",
];

/// What looks like a setting in these variables, and is none. An empty one counts as not set. Those that begin with `TEST` are for
/// tests.
pub(super) fn unread(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<Warning> {
    let mut unread: Vec<Warning> = variables
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, _)| {
            let name = name.to_string_lossy().into_owned();
            let setting = setting(&name)?;
            let is_read = KNOWN.contains(&name.as_str()) || setting.starts_with("TEST_");
            (!is_read).then(|| Warning::UnreadVariable { like: like(setting), name: name.clone() })
        })
        .collect();
    // The environment has no order.
    unread.sort_by_key(ToString::to_string);
    unread
}

/// The variable that was probably meant.
fn like(meant: &str) -> Option<&'static str> {
    let far = |known: &&'static str| setting(known).map(|setting| (osa_distance(meant, setting), *known));
    let near =
        |(far, known): &(usize, &str)| *far <= known.len().saturating_sub("CACHEMACRO".len()).max(4) / 3;
    KNOWN.iter().filter_map(far).filter(near).min().map(|(_, known)| known)
}

/// The name of the setting, as far as this is one of ours.
fn setting(name: &str) -> Option<&str> {
    name.strip_prefix("CACHEMACRO")?.strip_prefix('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread_of(settings: &[&str]) -> Vec<(String, Option<&'static str>)> {
        let variable =
            |setting: &&str| (OsString::from(format!("{}_{setting}", "CACHEMACRO")), OsString::from("1"));
        let told = |warning| match warning {
            Warning::UnreadVariable { name, like } => (name, like),
            other => panic!("{other}"),
        };
        unread(settings.iter().map(variable)).into_iter().map(told).collect()
    }

    #[test]
    fn a_letter_more_less_changed_or_swapped_is_one() {
        for word in ["prefx", "prefixx", "prefux", "perfix"] {
            assert_eq!(osa_distance(word, "prefix"), 1, "{word}");
        }
        assert_eq!((osa_distance("", "abc"), osa_distance("abc", "abc")), (3, 0));
    }

    #[test]
    fn a_misspelt_variable_is_told_with_what_was_meant() {
        for (misspelt, meant) in
            [("TTTL", "TTL"), ("REDISURL", "REDIS_URL"), ("NAMEPSACE", "NAMESPACE"), ("MAXAGE", "MAX_AGE")]
        {
            let told = unread_of(&[misspelt]);
            assert!(told[0].0.ends_with(misspelt) && told[0].1.and_then(setting) == Some(meant), "{told:?}");
        }
        assert_eq!(unread_of(&["ENTIRELY_ELSE"])[0].1, None);
        assert_eq!(unread_of(&["B", "A"]).len(), 2);
    }

    #[test]
    fn what_is_read_or_is_somebody_elses_is_not_told() {
        let known = KNOWN.iter().filter_map(|known| setting(known)).collect::<Vec<_>>();
        assert_eq!((known.len(), unread_of(&known)), (KNOWN.len(), vec![]));
        assert_eq!(unread_of(&["TEST_SERVER"]), []);
        let others = ["TTL", "CACHE_TTL", "CACHEMACROS", "REDIS_URL"];
        assert_eq!(unread(others.iter().map(|name| (OsString::from(name), OsString::from("1")))), []);
        assert_eq!(unread([(OsString::from(KNOWN[0].to_owned() + "S"), OsString::new())].into_iter()), []);
    }
}
