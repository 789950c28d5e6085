//! A service with a cache, and the binary that looks at it.

use std::process::{Command, Stdio};
use std::time::Duration;

use cachemacro::{Cache, CacheBuilder, cached};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until, without_settings};
use serde_json::Value;

/// A user of a service.
#[cached(prefix = "user", ttl = "5m", tags = ["users", "org:{org}"], cache = cache, skip(cache))]
pub(crate) async fn user(cache: &Cache, org: &str, id: u64) -> Option<String> {
    let _ = cache;
    Some(format!("user {id} of {org}"))
}

/// What the binary said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Said {
    pub(crate) fn rows(&self) -> Vec<Value> {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A namespace on a server.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) namespace: String,
}

impl Place {
    pub(crate) fn on(server: &RedisServer) -> Self {
        Self { url: server.url(), namespace: namespace() }
    }

    pub(crate) fn settings(&self) -> CacheBuilder {
        let redis = Cache::builder().redis(&self.url).namespace(&self.namespace);
        redis.report_interval(Duration::from_millis(50))
    }

    /// One more process, as far as reports can tell.
    pub(crate) fn service(&self) -> Cache {
        self.settings().build().expect("acceptable settings")
    }

    /// Runs the binary in the services' environment.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[])
    }

    pub(crate) fn run_with(&self, args: &[&str], envs: &[(&str, &str)]) -> Said {
        said(self.command(args).envs(envs.iter().copied()).stdin(Stdio::null()))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cachemacro"));
        without_settings(&mut command)
            .args(args)
            .env("CACHEMACRO_REDIS_URL", &self.url)
            .env("CACHEMACRO_NAMESPACE", &self.namespace);
        command
    }

    /// Runs it off the test's runtime, which serves the services meanwhile.
    pub(crate) async fn asked(&self, args: &[&str]) -> Said {
        self.asked_with(args, &[]).await
    }

    /// The same with more variables.
    pub(crate) async fn asked_with(&self, args: &[&str], envs: &[(&str, &str)]) -> Said {
        let place = Self { url: self.url.clone(), namespace: self.namespace.clone() };
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let envs: Vec<(String, String)> =
            envs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let run = move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let envs: Vec<_> = envs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            place.run_with(&args, &envs)
        };
        tokio::task::spawn_blocking(run).await.expect("running it does not panic")
    }

    /// The same with rows of JSON.
    pub(crate) async fn rows(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        self.asked(&args).await.rows()
    }

    /// Waits until as many processes have reported as this, with what they did by now.
    pub(crate) async fn reported(&self, caches: &[&Cache]) {
        let reads = |report: &cachemacro::report::Report| {
            report.sites.iter().fold(report.direct.reads(), |sum, site| sum + site.figures.reads())
        };
        let wanted: u64 = caches.iter().map(|cache| reads(&cache.report())).sum();
        wait_until("all reported", DEADLINE, async || {
            let rows = self.asked(&["stats", "--by", "process", "--format", "json"]).await;
            let Ok(Value::Array(rows)) = serde_json::from_str(&rows.out) else { return false };
            let told: u64 = rows.iter().filter_map(|row| row["reads"].as_u64()).sum();
            rows.len() == caches.len() && told == wanted
        })
        .await;
    }
}

/// The same place, seen by a user with the rights that the guide has for `name`, and no more: those of its line, and where the server knows
/// them, those that later versions have besides.
pub(crate) async fn by_guide(server: &RedisServer, name: &str, namespace: &str) -> Place {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let begins = format!("ACL SETUSER {name} ");
    let rules: Vec<&str> = guide.lines().filter(|line| line.starts_with(&begins)).collect();
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert!(rules[1].ends_with(" +client|no-touch"), "{rules:?}");
    let known = if leaves_use_alone(server).await { 2 } else { 1 };
    for rule in &rules[..known] {
        let rule = rule.replace("PASSWORD", "hunter2").replace("shop:", &format!("{namespace}:"));
        run(&mut server.client().await, &rule).await;
    }
    let url = server.bare_url().replace("redis://", &format!("redis://{name}:hunter2@"));
    Place { url, namespace: namespace.to_owned() }
}

/// Whether the server can leave alone when keys were used: from Redis 7.2 on.
pub(crate) async fn leaves_use_alone(server: &RedisServer) -> bool {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("NO-TOUCH").arg("ON").exec_async(&mut server.client().await).await.is_ok()
}

pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().expect("the binary can be run");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    Said { code: output.status.code(), out: text(&output.stdout), errors: text(&output.stderr) }
}
