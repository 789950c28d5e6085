//! `doctor`: what is wrong with server and fleet, what comes of it, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use cachemacro::store::{Answer, Cursor, ServerFigures};

use crate::args::{Args, PlaceArgs};
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::place::Place;
use crate::servers;
use crate::sweep::{TOUCHES, UNTOUCHED, makes_room_by_use};
use crate::table::{Cell, Table};

/// One finding: how bad, what, what comes of it, what to do.
struct Finding {
    level: &'static str,
    what: String,
    consequence: &'static str,
    remedy: &'static str,
}

/// The oldest server that the runtime works on.
const OLDEST: (u32, u32) = (6, 2);
/// A round trip that takes longer than this costs more than many loads do.
const SLOW: Duration = Duration::from_millis(10);
/// How many keys are looked at to see whether one is in the namespace, and how many of them in a step.
const MOST_KEYS: u32 = 20_000;
const STEP: u32 = 100;
/// How far the clocks may be apart.
const APART: Duration = Duration::from_secs(5);

pub(crate) async fn doctor(args: &Args) -> Done {
    let place = Place::new(&args.place)?;
    let mut findings = Vec::new();
    // The first request opens the connection.
    place.cache.connect().await?;
    let began = Instant::now();
    let info = place.inspector.info().await?.unwrap_or_default();
    let latency = began.elapsed();
    of_servers(&mut findings, &info, saves(&place).await);
    let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let server = Duration::from_millis(place.inspector.time().await?.millis());
    of_times(&mut findings, latency, server.abs_diff(here));
    if makes_room_by_use(&info) && !place.inspector.leaves_use_alone().await.unwrap_or(false) {
        findings.push(Finding {
            level: "note",
            what: TOUCHES.to_owned(),
            consequence: "`list` shows names alone, and other commands look at 10,000 entries",
            remedy: UNTOUCHED,
        });
    }
    match Fleet::of_place(&place).await {
        Ok(fleet) => {
            if fleet.reports.is_empty() {
                findings.push(silence(&place, is_in_use(&place, &args.place).await));
            }
            of_fleet(&mut findings, &fleet);
        }
        Err(error) => findings.push(Finding {
            level: "note",
            what: format!("reports cannot be read: {error}"),
            consequence: "nothing is known of the fleet",
            remedy: "rights to read the keys {namespace:report}*",
        }),
    }
    let mut table = Table::new(&["level", "finding", "consequence", "remedy"]);
    for found in &findings {
        table.row([
            Cell::from(found.level),
            found.what.as_str().into(),
            found.consequence.into(),
            found.remedy.into(),
        ]);
    }
    if findings.is_empty() {
        table.row([Cell::from("ok"), "nothing is wrong".into(), Cell::None, Cell::None]);
    }
    table.write(&args.output)?;
    if findings.iter().any(|found| found.level == "wrong") { Err(Failure::Shown) } else { Ok(()) }
}

/// Whether the server saves snapshots, which `INFO` does not tell; false where it may not be asked.
async fn saves(place: &Place) -> bool {
    let Some(commands) = place.cache.raw_commands() else { return false };
    let ask = ["CONFIG", "GET", "save"].map(Into::into).to_vec();
    // Any key will do, and on a cluster any node.
    let told = commands.send(&format!("{{{}:report}}", place.shown_namespace()), &[ask], true).await;
    let Some(Answer::List(pair)) = told.ok().and_then(|mut answers| answers.pop()) else { return false };
    matches!(pair.get(1), Some(Answer::Text(points)) if !points.is_empty())
}

/// The same of each node of a cluster: what is found at several is told once, and where.
fn of_servers(findings: &mut Vec<Finding>, info: &str, persists: bool) {
    let nodes = servers::each(info);
    let mut found: Vec<(Finding, Vec<&str>)> = Vec::new();
    for node in &nodes {
        let mut of_node = Vec::new();
        of_server(&mut of_node, node, persists);
        for finding in of_node {
            let port = servers::field(node, "tcp_port");
            match found.iter_mut().find(|(known, _)| known.what == finding.what) {
                Some((_, ports)) => ports.push(port),
                None => found.push((finding, vec![port])),
            }
        }
    }
    findings.extend(found.into_iter().map(|(mut finding, ports)| {
        if ports.len() < nodes.len() {
            let nodes = if ports.len() == 1 { "node" } else { "nodes" };
            finding.what = format!("{}: {nodes} at port {}", finding.what, ports.join(", "));
        }
        finding
    }));
}

/// What `INFO` alone tells; and, where the server told more, whether it `persists`.
fn of_server(findings: &mut Vec<Finding>, info: &str, persists: bool) {
    let figures = ServerFigures::from_info(info);
    let field = |name: &str| servers::field(info, name);
    let version = field("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let known = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if !version.is_empty() && known < OLDEST {
        findings.push(Finding {
            level: "wrong",
            what: format!("the server's version is {version}"),
            consequence: "scripts fail, so nothing is cached",
            remedy: "Redis 6.2 or later, or Valkey",
        });
    }
    if !matches!(figures.role.as_str(), "" | "master") {
        findings.push(Finding {
            level: "wrong",
            what: "the server is a replica".to_owned(),
            consequence: "services refuse it: what is evicted there is evicted nowhere",
            remedy: "the primary's address",
        });
    }
    if figures.is_full() {
        findings.push(Finding {
            level: "wrong",
            what: "the memory is in use, and the policy is noeviction".to_owned(),
            consequence: "new values are refused",
            remedy: "maxmemory-policy allkeys-lru, or more memory",
        });
    } else if figures.max_memory > 0 && figures.policy == "noeviction" {
        findings.push(Finding {
            level: "note",
            what: "the policy is noeviction".to_owned(),
            consequence: "once the memory is in use, new values are refused",
            remedy: "maxmemory-policy allkeys-lru for a server that is only a cache",
        });
    } else if figures.max_memory == 0 && !info.is_empty() {
        findings.push(Finding {
            level: "note",
            what: "the server has no maxmemory".to_owned(),
            consequence: "it grows until the machine's memory ends",
            remedy: "maxmemory, and maxmemory-policy allkeys-lru",
        });
    }
    if figures.evicted_keys > 0 {
        findings.push(Finding {
            level: "note",
            what: format!("{} keys went because there was no more room", figures.evicted_keys),
            consequence: "entries and tags' versions are lost early: misses",
            remedy: "more memory, or shorter TTLs",
        });
    }
    if persists || field("aof_enabled") == "1" {
        findings.push(Finding {
            level: "note",
            what: "the server writes what it stores to disk".to_owned(),
            consequence: "it comes back with entries that were evicted meanwhile, if its files are older",
            remedy: "no persistence for a server that is only a cache",
        });
    }
}

/// How long a round trip took, and how far the server's clock and this machine's are apart.
fn of_times(findings: &mut Vec<Finding>, latency: Duration, apart: Duration) {
    if latency > SLOW {
        findings.push(Finding {
            level: "note",
            what: format!("a round trip takes {:.1} ms", latency.as_secs_f64() * 1e3),
            consequence: "hits take as long",
            remedy: "a server nearby, and no long commands on it (SLOWLOG)",
        });
    }
    if apart > APART {
        findings.push(Finding {
            level: "note",
            what: format!("the server's clock and this machine's are {} s apart", apart.as_secs()),
            consequence: "none for entries, whose times are the server's",
            remedy: "NTP",
        });
    }
}

/// Whether an entry is in the namespace; `None`: there are more keys than were looked at, or they may not be scanned.
async fn is_in_use(place: &Place, args: &PlaceArgs) -> Option<bool> {
    let (mut cursor, mut steps) = (Cursor::default(), args.rate().min(MOST_KEYS) / STEP + 1);
    while steps > 0 {
        let page = place.inspector.keys("", &cursor).await.ok()?;
        if !page.keys.is_empty() {
            return Some(true);
        }
        match page.next {
            Some(next) => cursor = next,
            None => return Some(false),
        }
        steps -= 1;
    }
    None
}

/// The finding that no process reports.
fn silence(place: &Place, in_use: Option<bool>) -> Finding {
    let namespace = place.shown_namespace();
    match in_use {
        Some(false) if !namespace.is_empty() => Finding {
            level: "wrong",
            what: format!("no process reported, and no entry is in the namespace `{namespace}`"),
            consequence: "nothing is known of the fleet",
            remedy: "is it the namespace of your services (CACHEMACRO_NAMESPACE)?",
        },
        _ => Finding {
            level: "note",
            what: "no process reported within 30 s".to_owned(),
            consequence: "nothing is known of the fleet",
            remedy: "the first report comes 10 s after a start; is it the right namespace? CACHEMACRO_REPORT, and the right to ZADD and ZREMRANGEBYSCORE",
        },
    }
}

fn of_fleet(findings: &mut Vec<Finding>, fleet: &Fleet) {
    let versions: BTreeSet<&str> = fleet.reports.iter().map(|report| report.version.as_str()).collect();
    if versions.len() > 1 {
        findings.push(Finding {
            level: "note",
            what: format!("processes have different versions of cachemacro: {}", joined(&versions)),
            consequence: "entries of another format are misses",
            remedy: "nothing, while a rollout lasts",
        });
    }
    let mut shapes: BTreeMap<(&str, &str), BTreeSet<(u8, &str)>> = BTreeMap::new();
    for report in &fleet.reports {
        for site in &report.sites {
            for stored in &site.stored_as {
                let of = (site.site.as_str(), stored.prefix.as_str());
                shapes.entry(of).or_default().insert((stored.codec, &stored.schema));
            }
        }
    }
    for ((site, prefix), shapes) in shapes {
        // Keys of a generic function differ by type, and so may its values.
        if shapes.len() > 1 {
            findings.push(Finding {
                level: "note",
                what: format!("{site} stores values of {} shapes under {prefix}", shapes.len()),
                consequence: "while releases differ in a type, each overwrites the other's entries",
                remedy: "nothing, while a rollout lasts, or for a generic function",
            });
        }
    }
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for report in fleet.reports.iter().filter(|report| !report.refused.is_empty()) {
        let rights: Vec<String> = report.refused.iter().map(|command| format!("+{command}")).collect();
        *refused.entry(rights.join(" ")).or_default() += 1;
    }
    for (rights, processes) in refused {
        findings.push(Finding {
            level: "note",
            what: format!("{processes} processes were refused commands: {rights}"),
            consequence: "what needs them is not done; the guide says for each what that is",
            remedy: "the rights of its line for services (ACL SETUSER), or a server that has the commands",
        });
    }
    for report in &fleet.reports {
        let who = format!("process {} ({})", report.process, report.instance);
        if report.breaker.as_deref().is_some_and(|breaker| breaker != "closed") {
            findings.push(Finding {
                level: "wrong",
                what: format!("the breaker of {who} is open"),
                consequence: "its functions run without the cache",
                remedy: "does it reach the server?",
            });
        }
        if report.kept_evicts > 0 {
            findings.push(Finding {
                level: "wrong",
                what: format!("{} evicts of {who} have not reached the server", report.kept_evicts),
                consequence: "other processes may serve what it evicted",
                remedy: "does it reach the server? They are sent again",
            });
        }
    }
}

fn joined(of: &BTreeSet<&str>) -> String {
    of.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use cachemacro::report::Report;

    use super::*;

    fn levels(info: &str) -> Vec<(&'static str, String)> {
        let mut findings = Vec::new();
        of_servers(&mut findings, info, false);
        findings.into_iter().map(|found| (found.level, found.what)).collect()
    }

    #[test]
    fn info_alone_tells_what_is_wrong_with_a_server() {
        let well = "redis_version:7.0.15\r\nrole:master\r\nused_memory:10\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert_eq!(levels(well), []);
        assert_eq!(levels(""), [], "where it may not be asked, nothing is known");
        let full = "maxmemory:1000\r\nused_memory:990\r\nmaxmemory_policy:noeviction\r\nrole:slave\r\nredis_version:6.0.9\r\n";
        assert!(
            levels(full).iter().all(|(level, _)| *level == "wrong") && levels(full).len() == 3,
            "{:?}",
            levels(full)
        );
        let appends = format!("{well}aof_enabled:1\r\n");
        assert_eq!(levels(&appends), [("note", "the server writes what it stores to disk".to_owned())]);
        let node = |port: u16, role: &str| {
            let well = well.replace("role:master", role);
            format!("# Server\r\ntcp_port:{port}\r\n{well}aof_enabled:1\r\n")
        };
        let cluster =
            [node(7000, "role:master"), node(7001, "role:slave"), node(7002, "role:slave")].join("\r\n");
        let replicas = ("wrong", "the server is a replica: nodes at port 7001, 7002".to_owned());
        assert_eq!(
            levels(&cluster),
            [("note", "the server writes what it stores to disk".to_owned()), replicas]
        );
        let hostile = "redis_version:99999999999.\u{1b}\r\nmaxmemory:-1\r\nused_memory:\r\n";
        assert!(levels(hostile).iter().all(|(level, _)| *level == "note") || !levels(hostile).is_empty());
    }

    #[test]
    fn a_round_trip_that_is_slow_and_clocks_that_are_apart_are_told() {
        let of = |latency, apart| {
            let mut findings = Vec::new();
            of_times(&mut findings, Duration::from_millis(latency), Duration::from_millis(apart));
            findings.into_iter().map(|found| found.what).collect::<Vec<_>>()
        };
        assert_eq!(of(10, 5_000), [""; 0]);
        assert_eq!(of(11, 5_000), ["a round trip takes 11.0 ms"]);
        assert_eq!(of(10, 61_500), ["the server's clock and this machine's are 61 s apart"]);
    }

    #[test]
    fn releases_that_differ_and_rights_that_are_lacking_are_told() {
        let report = |json: &str| serde_json::from_str::<Report>(json).expect("a report");
        let told = |reports: &[&str]| {
            let reports = reports.iter().map(|json| report(json)).collect();
            let mut findings = Vec::new();
            of_fleet(&mut findings, &Fleet { reports, ..Fleet::default() });
            findings.into_iter().map(|found| (found.level, found.what)).collect::<Vec<_>>()
        };
        let stored = |schema: &str| {
            format!(
                r#"{{"version": "1", "sites": [{{"site": "shop::user", "stored_as": [{{"prefix": "user", "codec": 1, "schema": "{schema}"}}]}}]}}"#
            )
        };
        let lacking = r#"{"version": "1", "refused": ["rename", "client|tracking"]}"#;
        assert_eq!(told(&[r#"{"version": "1"}"#, &stored("a"), &stored("a")]), []);
        let note = |what: &str| ("note", what.to_owned());
        let versions = note("processes have different versions of cachemacro: 1, 2");
        assert_eq!(told(&[r#"{"version": "1"}"#, r#"{"version": "2"}"#]), [versions]);
        let shapes = note("shop::user stores values of 2 shapes under user");
        assert_eq!(told(&[&stored("a"), &stored("b")]), [shapes]);
        let rights = "2 processes were refused commands: +rename +client|tracking".to_owned();
        assert_eq!(told(&[lacking, lacking]), [("note", rights)]);
    }
}
