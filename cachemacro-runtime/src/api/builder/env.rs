//! Settings from the environment, each understood or refused by its name.

use std::str::FromStr;
use std::time::Duration;

use super::variables::unread;
use super::{CacheBuilder, Choice, MAX_VALUE};
#[cfg(feature = "reports")]
use crate::engine::settings::Reports;
use crate::format::codec::BuiltinCodec;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::policy::ttl::Ttl;
use crate::policy::verify::Verify;
#[cfg(feature = "reports")]
use crate::store::MOST_NAMES;
#[cfg(feature = "redis")]
use crate::store::redis::LONGEST;

impl CacheBuilder {
    /// Takes over what the environment says ([all variables](https://github.com/cachemacro/cachemacro/blob/main/docs/configuration.md));
    /// what is not set there stays as it is. A variable that begins as they do and is none of them is [warned of](crate::Warning::UnreadVariable).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// // What is said here holds where the environment is silent.
    /// let cache = cachemacro::Cache::builder().namespace("shop").jitter(10).env()?.build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable and what it accepts.
    pub fn env(mut self) -> Result<Self> {
        self.settings.unread = unread(std::env::vars_os());
        // What is no text is understood by no variable, rather than taken for not set.
        self.env_from(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// [`env`](Self::env) from another source than the process's environment.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let set = |value: &'static str| {
    ///     move |name: &str| (name == "CACHEMACRO_TTL").then(|| value.to_owned())
    /// };
    /// assert!(Cache::builder().env_from(set("90s")).is_ok());
    /// let error = Cache::builder().env_from(set("soon")).unwrap_err();
    /// assert!(error.to_string().contains("CACHEMACRO_TTL"));
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable and what it accepts.
    pub fn env_from(mut self, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let env = Env(&get);
        if let Some(store) = env.get("CACHEMACRO_STORE") {
            self.choice = match store.as_str() {
                "auto" => Choice::Auto,
                "memory" => Choice::Memory,
                #[cfg(feature = "redis")]
                "redis" => Choice::Redis,
                #[cfg(not(feature = "redis"))]
                "redis" => {
                    return Err(Env::wrong(
                        "CACHEMACRO_STORE",
                        "`memory` (the `redis` feature is not built in)",
                    ));
                }
                _ => return Err(Env::wrong("CACHEMACRO_STORE", "`auto`, `memory` or `redis`")),
            };
        }
        if let Some(namespace) = env.get("CACHEMACRO_NAMESPACE") {
            self.settings.namespace = Key::escape(&namespace);
        }
        env.parse(
            "CACHEMACRO_TTL",
            "a duration from 1 ms on such as `5m`, or `never`",
            parse_ttl,
            &mut self.settings.ttl,
        )?;
        self.ages_from(&env)?;
        self.times_from(&env)?;
        if let Some(codec) = env.get("CACHEMACRO_CODEC") {
            let names: Vec<_> = BuiltinCodec::ALL.iter().map(|codec| format!("`{}`", codec.name())).collect();
            self.settings.codec =
                codec.parse().map_err(|_| Env::wrong("CACHEMACRO_CODEC", &names.join(" or ")))?;
        }
        env.parse(
            "CACHEMACRO_MAX_VALUE",
            "a number of bytes from 1 to 268_435_456",
            |text| number(text).filter(|bytes| (1..=MAX_VALUE).contains(bytes)),
            &mut self.settings.max_value,
        )?;
        #[cfg(feature = "lz4")]
        env.parse(
            "CACHEMACRO_COMPRESS_OVER",
            "a number of bytes",
            some_number,
            &mut self.settings.compress_over,
        )?;
        #[cfg(not(feature = "lz4"))]
        env.lacks("CACHEMACRO_COMPRESS_OVER", "lz4")?;
        #[cfg(feature = "sealed")]
        self.sealed_from(&env)?;
        #[cfg(not(feature = "sealed"))]
        for name in ["CACHEMACRO_SEAL_KEYS", "CACHEMACRO_SEAL_NAMES", "CACHEMACRO_SEAL_ONLY"] {
            env.lacks(name, "sealed")?;
        }
        env.parse("CACHEMACRO_CAPACITY", "a number of bytes from 1", from_one, &mut self.capacity)?;
        self.local_from(&env)?;
        env.parse(
            "CACHEMACRO_VERIFY",
            "a percentage from `0.0001%` to `100%`, or `off`",
            parse_verify,
            &mut self.settings.verify,
        )?;
        env.parse("CACHEMACRO_HOT_KEYS", "`0` or `1`", parse_switch, &mut self.settings.hot_keys)?;
        env.parse("CACHEMACRO_DISABLED", "`0` or `1`", parse_switch, &mut self.settings.disabled)?;
        #[cfg(feature = "reports")]
        env.parse(
            "CACHEMACRO_REPORT",
            "`off`, `counters` or `full`",
            parse_reports,
            &mut self.settings.reports,
        )?;
        #[cfg(feature = "reports")]
        env.parse(
            "CACHEMACRO_TAG_NAMES",
            "a number from 0 to 100000",
            |text| number(text).filter(|most| *most <= MOST_NAMES),
            &mut self.settings.tag_names,
        )?;
        #[cfg(not(feature = "reports"))]
        env.lacks("CACHEMACRO_TAG_NAMES", "reports")?;
        #[cfg(not(feature = "reports"))]
        if env.get("CACHEMACRO_REPORT").is_some_and(|reports| reports != "off") {
            env.lacks("CACHEMACRO_REPORT", "reports")?;
        }
        #[cfg(feature = "redis")]
        {
            self.breaker_from(&env)?;
            for name in ["REDIS_URL", "CACHEMACRO_REDIS_URL"] {
                if let Some(url) = env.get(name) {
                    self.redis.url = Some(url);
                    self.redis.url_from = Some(name);
                }
            }
            self.connections_from(&env)?;
        }
        // Each process would keep to itself what all are to share. `REDIS_URL` may be there for other purposes.
        #[cfg(not(feature = "redis"))]
        if !matches!(self.choice, Choice::Memory) {
            env.lacks("CACHEMACRO_REDIS_URL", "redis")?;
        }
        Ok(self)
    }

    /// What becomes of values that age, and of entries without one.
    fn ages_from(&mut self, env: &Env<'_>) -> Result<()> {
        env.parse(
            "CACHEMACRO_STALE",
            "a duration such as `1h`",
            parse_duration,
            &mut self.settings.freshness.stale,
        )?;
        env.parse(
            "CACHEMACRO_MAX_AGE",
            "a duration from 1 ms on such as `1d`",
            |text| parse_duration(text).filter(|age| *age >= Duration::from_millis(1)).map(Some),
            &mut self.settings.freshness.max_age,
        )?;
        env.parse(
            "CACHEMACRO_REFRESH",
            "a percentage from `1%` to `100%`",
            |text| parse_percent(text).filter(|percent| *percent > 0).map(Some),
            &mut self.settings.freshness.refresh,
        )?;
        env.parse("CACHEMACRO_NEGATIVES", "a number of entries", number, &mut self.settings.negatives)?;
        env.parse(
            "CACHEMACRO_RETRY_AFTER",
            "a duration such as `250ms` or `10s`",
            parse_duration,
            &mut self.settings.retry_after,
        )?;
        Ok(())
    }

    /// What is kept in this process.
    fn local_from(&mut self, env: &Env<'_>) -> Result<()> {
        env.parse(
            "CACHEMACRO_LOCAL",
            "a duration above zero such as `10s`, or `off`",
            parse_local,
            &mut self.settings.local,
        )?;
        env.parse(
            "CACHEMACRO_LOCAL_CAPACITY",
            "a number of bytes from 1",
            from_one,
            &mut self.settings.local_capacity,
        )?;
        env.parse(
            "CACHEMACRO_LOCAL_MAX_VALUE",
            "a number of bytes from 1",
            |text| from_one(text).map(Some),
            &mut self.settings.local_max_value,
        )
    }
}

impl CacheBuilder {
    fn times_from(&mut self, env: &Env<'_>) -> Result<()> {
        env.parse(
            "CACHEMACRO_JITTER",
            "a percentage from `0%` to `100%`",
            parse_percent,
            &mut self.settings.jitter,
        )?;
        env.parse(
            "CACHEMACRO_WAIT",
            "a duration such as `250ms` or `10s`",
            parse_duration,
            &mut self.settings.wait,
        )?;
        env.parse(
            "CACHEMACRO_LEASE_LIMIT",
            "a duration above zero such as `250ms` or `10s`",
            |text| parse_duration(text).filter(|limit| !limit.is_zero()),
            &mut self.settings.lease_limit,
        )?;
        env.parse(
            "CACHEMACRO_DEADLINE",
            "a duration above zero such as `100ms` or `1s`",
            |text| parse_duration(text).filter(|deadline| !deadline.is_zero()).map(Some),
            &mut self.settings.deadline,
        )
    }
}

/// Variables by name; empty ones count as not set.
pub(super) struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn parse<T>(
        &self,
        name: &str,
        accepts: &str,
        parse: impl Fn(&str) -> Option<T>,
        into: &mut T,
    ) -> Result<()> {
        if let Some(value) = self.get(name) {
            *into = parse(&value).ok_or_else(|| Self::wrong(name, accepts))?;
        }
        Ok(())
    }

    #[cfg(feature = "redis")]
    pub(super) fn some_duration(&self, name: &str, into: &mut Option<Duration>) -> Result<()> {
        let accepted = |duration: &Duration| !duration.is_zero() && *duration <= LONGEST;
        let parse = |text: &str| parse_duration(text).filter(accepted).map(Some);
        self.parse(name, "a duration above zero and up to `1h` such as `250ms` or `10s`", parse, into)
    }

    /// Refuses what means something only with a feature that is not built in.
    #[cfg(not(all(feature = "redis", feature = "lz4", feature = "reports", feature = "sealed")))]
    fn lacks(&self, name: &str, feature: &str) -> Result<()> {
        match self.get(name) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Config,
                format!("{name} needs the `{feature}` feature, which is not built in"),
            )),
        }
    }

    // The value itself may be a secret and is not shown.
    pub(super) fn wrong(name: &str, accepts: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("{name} has a value that is not understood; it takes {accepts}"),
        )
    }
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() }
}

fn parse_ttl(text: &str) -> Option<Ttl> {
    let ttl = if text == "never" { Some(Ttl::Never) } else { parse_duration(text).map(Ttl::For) };
    ttl.filter(|ttl| ttl.stores())
}

#[expect(clippy::option_option, reason = "the outer says whether it parsed, the inner is the setting")]
fn parse_local(text: &str) -> Option<Option<Duration>> {
    if text == "off" { Some(None) } else { parse_duration(text).filter(|ttl| !ttl.is_zero()).map(Some) }
}

#[expect(clippy::option_option, reason = "the outer says whether it parsed, the inner is the setting")]
fn parse_verify(text: &str) -> Option<Option<Verify>> {
    if text == "off" { Some(None) } else { Verify::parse(text).map(Some) }
}

#[cfg(feature = "reports")]
fn parse_reports(text: &str) -> Option<Reports> {
    match text {
        "off" => Some(Reports::Off),
        "counters" => Some(Reports::Counters),
        "full" => Some(Reports::Full),
        _ => None,
    }
}

pub(super) fn parse_percent(text: &str) -> Option<u8> {
    text.trim_end_matches('%').trim_end().parse().ok().filter(|percent| *percent <= 100)
}

pub(super) fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn number<N: FromStr>(text: &str) -> Option<N> {
    text.replace('_', "").parse().ok()
}

fn from_one(text: &str) -> Option<usize> {
    number(text).filter(|number| *number > 0)
}

#[cfg(feature = "lz4")]
#[expect(clippy::option_option, reason = "the outer says whether it parsed, the inner is the setting")]
fn some_number<N: FromStr>(text: &str) -> Option<Option<N>> {
    number(text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::freshness::Freshness;

    fn env(variables: &[(&str, &str)]) -> Result<CacheBuilder> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
        CacheBuilder::default().env_from(|name| value(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_variable_sets_what_it_is_for() {
        let codec = *BuiltinCodec::ALL.last().expect("one is built in");
        let builder = env(&[
            ("CACHEMACRO_STORE", "memory"),
            ("CACHEMACRO_NAMESPACE", "shop"),
            ("CACHEMACRO_TTL", "61s"),
            ("CACHEMACRO_JITTER", "17%"),
            ("CACHEMACRO_STALE", "57s"),
            ("CACHEMACRO_MAX_AGE", "58s"),
            ("CACHEMACRO_REFRESH", "59%"),
            ("CACHEMACRO_NEGATIVES", "56"),
            ("CACHEMACRO_RETRY_AFTER", "60s"),
            ("CACHEMACRO_WAIT", "62s"),
            ("CACHEMACRO_LEASE_LIMIT", "63s"),
            ("CACHEMACRO_DEADLINE", "75s"),
            ("CACHEMACRO_LOCAL", "71s"),
            ("CACHEMACRO_CODEC", codec.name()),
            ("CACHEMACRO_MAX_VALUE", "64"),
            ("CACHEMACRO_CAPACITY", "65"),
            ("CACHEMACRO_LOCAL_CAPACITY", "67"),
            ("CACHEMACRO_LOCAL_MAX_VALUE", "68"),
            ("CACHEMACRO_VERIFY", "0.0069%"),
            ("CACHEMACRO_HOT_KEYS", "1"),
            ("CACHEMACRO_DISABLED", "1"),
        ])
        .expect("acceptable");
        let settings = &builder.settings;
        assert!(matches!(builder.choice, Choice::Memory));
        assert_eq!(settings.namespace, "shop");
        assert_eq!((settings.ttl, settings.jitter), (Ttl::For(Duration::from_secs(61)), 17));
        let seconds = Duration::from_secs;
        let freshness = Freshness { stale: seconds(57), max_age: Some(seconds(58)), refresh: Some(59) };
        assert_eq!((settings.freshness, settings.retry_after), (freshness, seconds(60)));
        assert_eq!(settings.negatives, 56);
        assert_eq!(settings.wait, Duration::from_secs(62));
        assert_eq!(settings.lease_limit, Duration::from_secs(63));
        assert_eq!(settings.deadline, Some(Duration::from_secs(75)));
        assert_eq!(settings.local, Some(Duration::from_secs(71)));
        assert_eq!((settings.codec, settings.max_value, builder.capacity), (codec, 64, 65));
        assert_eq!((settings.local_capacity, settings.local_max_value), (67, Some(68)));
        assert_eq!(settings.verify, Some(Verify::millionths(69)));
        assert!(settings.disabled && settings.hot_keys);
    }

    #[cfg(feature = "lz4")]
    #[test]
    fn compression_has_a_variable() {
        let builder = env(&[("CACHEMACRO_COMPRESS_OVER", "66")]).expect("acceptable");
        assert_eq!(builder.settings.compress_over, Some(66));
    }

    #[cfg(feature = "reports")]
    #[test]
    fn reports_have_a_variable() {
        let reports = |value| env(&[("CACHEMACRO_REPORT", value)]).map(|builder| builder.settings.reports);
        assert_eq!(reports("off").expect("acceptable"), Reports::Off);
        assert_eq!(reports("counters").expect("acceptable"), Reports::Counters);
        assert_eq!(reports("full").expect("acceptable"), Reports::Full);
        assert!(reports("some").expect_err("refused").to_string().contains("CACHEMACRO_REPORT"));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn the_variables_of_redis_reach_its_store() {
        use crate::store::redis::RedisConfig;

        let builder = env(&[
            ("CACHEMACRO_REDIS_URL", "redis://h"),
            ("CACHEMACRO_CONNECT_TIMEOUT", "67s"),
            ("CACHEMACRO_COMMAND_TIMEOUT", "68s"),
            ("CACHEMACRO_POOL_WAIT", "69s"),
            ("CACHEMACRO_POOL_SIZE", "70"),
            ("CACHEMACRO_POOL_MIN", "7"),
            ("CACHEMACRO_HANDLES", "8"),
            ("CACHEMACRO_KEEPALIVE", "71s"),
            ("CACHEMACRO_USER_TIMEOUT", "72s"),
            ("CACHEMACRO_HEALTH_INTERVAL", "73s"),
            ("CACHEMACRO_MAX_LIFE", "74s"),
            ("CACHEMACRO_RETRIES", "9"),
            ("CACHEMACRO_RETRY_DELAY", "75ms"),
            ("CACHEMACRO_RETRY_BUDGET", "11%"),
            ("CACHEMACRO_EVICT_REPLICAS", "2"),
            ("CACHEMACRO_EPOCH_CHECK", "1"),
        ])
        .expect("acceptable");
        let seconds = Duration::from_secs;
        let expected =
            RedisConfig::new("redis://h").connect_timeout(seconds(67)).command_timeout(seconds(68));
        let expected = expected.pool_wait(seconds(69)).pool_size(70).pool_min(7).handles(8);
        let expected = expected.keepalive(seconds(71)).user_timeout(seconds(72));
        let expected = expected.health_interval(seconds(73)).max_life(seconds(74));
        let expected = expected.retries(9).retry_delay(Duration::from_millis(75)).retry_budget(11);
        let expected = expected.evict_replicas(2);
        assert!(builder.settings.epoch);
        let shown = |builder: &CacheBuilder| format!("{:?}", builder.redis_config().expect("acceptable"));
        assert_eq!(shown(&builder), format!("{expected:?}"));
        let off = env(&[
            ("CACHEMACRO_REDIS_URL", "redis://h"),
            ("CACHEMACRO_HEALTH_INTERVAL", "off"),
            ("CACHEMACRO_MAX_LIFE", "off"),
        ]);
        let expected = RedisConfig::new("redis://h").health_interval(None);
        assert_eq!(shown(&off.expect("acceptable")), format!("{expected:?}"));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn the_variables_of_the_breaker_reach_it() {
        use crate::store::BreakerConfig;

        let builder = env(&[
            ("CACHEMACRO_BREAKER_FAILURES", "4"),
            ("CACHEMACRO_BREAKER_RATE", "30%"),
            ("CACHEMACRO_BREAKER_WINDOW", "71s"),
            ("CACHEMACRO_BREAKER_SLOW", "72ms"),
            ("CACHEMACRO_BREAKER_PAUSE", "73ms"),
            ("CACHEMACRO_BREAKER_LONGEST_PAUSE", "74s"),
        ])
        .expect("acceptable");
        let millis = Duration::from_millis;
        let expected = BreakerConfig::new().failures(4).rate(30).window(millis(71_000)).slow(millis(72));
        assert_eq!(builder.redis.breaker, expected.pause(millis(73)).longest_pause(millis(74_000)));
        assert!(!builder.redis.unguarded);
        assert!(env(&[("CACHEMACRO_BREAKER", "0")]).expect("acceptable").redis.unguarded);
        for (name, value) in [
            ("CACHEMACRO_BREAKER_FAILURES", "0"),
            ("CACHEMACRO_BREAKER_RATE", "0%"),
            ("CACHEMACRO_BREAKER_SLOW", "0"),
        ] {
            assert!(env(&[(name, value)]).expect_err("refused").to_string().contains(name));
        }
    }

    #[cfg(not(feature = "redis"))]
    #[test]
    fn a_variable_of_a_feature_that_is_not_built_in_is_refused() {
        let url = ("CACHEMACRO_REDIS_URL", "redis://h");
        assert!(env(&[url]).expect_err("no redis").to_string().contains("`redis` feature"));
        assert!(env(&[url, ("CACHEMACRO_STORE", "memory")]).is_ok(), "nobody asked for it");
        assert!(env(&[("REDIS_URL", "redis://h")]).is_ok(), "it may be somebody else's");
        #[cfg(not(feature = "lz4"))]
        {
            let error = env(&[("CACHEMACRO_COMPRESS_OVER", "1")]).expect_err("it is not compiled in");
            assert!(error.to_string().contains("`lz4` feature"), "{error}");
        }
    }
}
