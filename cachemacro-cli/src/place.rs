//! The server to look at, and its namespace.

use cachemacro::inspect::Inspector;
use cachemacro::{Cache, Key, Reports, Warning};

use crate::args::PlaceArgs;
use crate::failure::Failure;
use crate::text;

/// The most bytes of a value that are unpacked.
const MOST_VALUE: usize = 64 << 20;

/// A cache on the services' server, which stores nothing and reports nothing.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cache: Cache,
    pub(crate) inspector: Inspector,
    /// The namespace, as services name it; empty where there is none.
    pub(crate) namespace: String,
}

impl Place {
    pub(crate) fn new(args: &PlaceArgs) -> Result<Self, Failure> {
        let mut builder = Cache::builder().env()?;
        if let Some(url) = &args.url {
            check_url(url)?;
            builder = builder.redis(url);
        }
        let from_env = std::env::var("CACHEMACRO_NAMESPACE").ok().map(|name| name.trim().to_owned());
        let namespace = match (&args.namespace, args.no_namespace) {
            (_, true) => String::new(),
            (Some(namespace), _) => namespace.clone(),
            (None, false) => from_env.unwrap_or_default(),
        };
        if namespace.is_empty() && !args.no_namespace {
            return Err(Failure::Usage(
                "which namespace? set CACHEMACRO_NAMESPACE or --namespace; --no-namespace looks at every key"
                    .to_owned(),
            ));
        }
        builder = builder.namespace(&namespace).reports(Reports::Off).max_value(MOST_VALUE).disabled(false);
        // A tool that only looks must write nothing, neither scripts nor the server's id: its user may have no right to.
        let cache = builder.guarded(false).load_scripts(false).epoch_check(false).build()?;
        let inspector = cache.inspector()?;
        for warning in cache.warnings() {
            if matches!(warning, Warning::UnreadVariable { .. }) {
                text::tell(&warning.to_string());
            }
        }
        if cache.report().store != "redis" {
            return Err(Failure::Usage(
                "which server? set CACHEMACRO_REDIS_URL or REDIS_URL, or --url for one without a password"
                    .to_owned(),
            ));
        }
        Ok(Self { cache, inspector, namespace })
    }

    /// The key without the namespace, where it was given with it, as the server's own tools show keys.
    pub(crate) fn without_namespace<'a>(&self, key: &'a str) -> Option<&'a str> {
        let namespace = self.shown_namespace();
        if namespace.is_empty() { None } else { key.strip_prefix(&namespace)?.strip_prefix(':') }
    }

    /// Where nothing is under a key that begins with the namespace, suggests the key without it.
    pub(crate) fn hint_at(&self, key: &str) {
        if let Some(meant) = self.without_namespace(key) {
            let meant = text::shown(meant);
            text::tell(&format!("keys are given without the namespace: is it {meant}?"));
        }
    }

    /// The namespace, as it is shown.
    pub(crate) fn shown_namespace(&self) -> String {
        Key::escape(&self.namespace)
    }
}

/// Refuses a URL with a password: other users of the machine can read command lines.
fn check_url(url: &str) -> Result<(), Failure> {
    if has_password(url) {
        return Err(Failure::Usage(
            "--url has a password, which other users of the machine can see: put it into CACHEMACRO_REDIS_URL".to_owned(),
        ));
    }
    Ok(())
}

/// Whether a URL has a password, be it of several hosts, or no URL at all: what is not understood may be one all the same.
pub(crate) fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    // A password may have a question mark.
    let user = rest.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    user.is_some_and(|(_, password)| !password.is_empty())
        || query
            .split('&')
            .any(|pair| ["pass", "secret", "token"].iter().any(|word| named(pair).contains(word)))
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn a_password_is_seen_in_every_kind_of_url() {
        for url in [
            "redis://:canary@cache",
            "redis://:can?ary@cache",
            "rediss://shop:canary@cache:6380/0",
            "redis+sentinel://shop:canary@s1,s2:26379,s3/name/0",
            "redis+cluster://shop:canary@n1:6379,n2:6379",
            "redis+sentinel://s1,s2/name?sentinel_password=canary",
            "unix:///run/redis.sock?db=0&user=shop&password=canary",
            "redis://shop:can@ry@cache",
            "shop:canary@cache",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in [
            "redis://cache:6379/0",
            "redis://shop@cache",
            "redis://shop:@cache",
            "redis+sentinel://a:1,b:2/name?db=1",
        ] {
            assert!(!has_password(url), "{url}");
        }
    }
}
