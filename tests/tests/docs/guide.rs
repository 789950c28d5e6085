//! What README and guide say is what the code has: names, settings, counters, links, and the rights on a server.
//! Their code blocks are doc tests (`tests/src/lib.rs`, `cachemacro/src/lib.rs`).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{Accepted, Member, Settle, Store};
use cachemacro_runtime::{Cache, ErrorKind, MissReason, Mode};
use cachemacro_tests::server::{is_redis_6, run};
use cachemacro_tests::{DEADLINE, LONG, RedisServer, wait_until};
use redis::aio::MultiplexedConnection;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where the repository's files are on the web: what is read outside a clone links to them there.
const REPOSITORY: &str = "https://github.com/cachemacro/cachemacro/blob/main/";

/// README and guide, by path.
fn pages() -> Vec<(String, String)> {
    let guide = fs::read_dir(root().join("docs")).expect("the guide is there").filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        let is_page = Path::new(&name).extension()? == "md" && name != "SUMMARY.md";
        is_page.then(|| format!("docs/{name}"))
    });
    let mut paths: Vec<String> = guide.chain(["README.md".to_owned()]).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Words of capitals, digits and underscores that begin with one of `starts`.
fn variables(text: &str, starts: &[&str]) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| starts.iter().any(|start| word.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

/// A page's lines outside of code blocks, and those blocks' info strings.
fn prose(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut lines, mut infos, mut inside) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(info) if !inside => {
                infos.push(info.trim());
                inside = true;
            }
            Some(_) => inside = false,
            None if !inside => lines.push(line),
            None => {}
        }
    }
    (lines, infos)
}

/// How GitHub names a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The targets of links, inline ones and definitions.
fn links(lines: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines {
        let mut rest = *line;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            found.extend(rest.split(')').next().map(str::to_owned));
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
        {
            found.push(target.trim().to_owned());
        }
    }
    found
}

#[test]
fn the_guide_lists_every_variable_and_no_other() {
    let starts = ["CACHEMACRO_", "REDIS_URL"];
    let files = ["env.rs", "connections.rs", "guard.rs", "sealed.rs"];
    let files = files.map(|file| read(&format!("cachemacro-runtime/src/api/builder/{file}")));
    let builder = variables(&files.concat(), &starts);
    assert_eq!(variables(&read("docs/configuration.md"), &starts), builder);
    // What is none of these is warned of as misspelt.
    let mut known = variables(&read("cachemacro-runtime/src/api/builder/variables.rs"), &starts);
    known.extend(["REDIS_URL".to_owned()]);
    assert_eq!(known, builder);
    for (path, text) in pages() {
        let others: Vec<String> = variables(&text, &starts).difference(&builder).cloned().collect();
        assert!(others.iter().all(|name| name.starts_with("CACHEMACRO_TEST_")), "{path} names {others:?}");
    }
}

#[test]
fn the_guide_lists_every_option() {
    let guide = read("docs/attributes.md");
    let options = read("cachemacro-derive/src/syntax/options.rs");
    let names: Vec<&str> =
        options.split("spec(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.contains(&"cache_none"), "{names:?}");
    for name in names {
        let listed = [format!("`{name}`"), format!("`{name}("), format!("`{name} = "), format!(", {name}`")];
        assert!(listed.iter().any(|form| guide.contains(form)), "docs/attributes.md does not list `{name}`");
    }
}

#[test]
fn the_guide_lists_every_option_of_routes() {
    let guide = read("docs/http.md");
    let options = |file: &str, of: &str| -> Vec<String> {
        let source = read(&format!("cachemacro-http/src/{file}"));
        let methods =
            source.split(of).nth(1).expect("it is there").split("\n}\n").next().expect("it ends").to_owned();
        let methods = methods.lines().filter_map(|line| {
            line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("    pub const fn "))
        });
        methods.map(|rest| rest.split(['<', '(']).next().expect("a name").to_owned()).collect()
    };
    let all = [
        options("route.rs", "impl CacheLayer {"),
        options("puts.rs", "impl PutLayer {"),
        options("writes.rs", "impl EvictLayer {"),
        options("http_cache.rs", "impl HttpCache {"),
        options("layers.rs", "impl HttpCache {"),
    ]
    .concat();
    assert!(all.iter().any(|name| name == "negative_ttl") && all.len() > 30, "{all:?}");
    for name in all.iter().filter(|name| *name != "new") {
        let listed = [format!("`{name}(`"), format!("`{name}("), format!(" `{name}`"), format!(".{name}(")];
        assert!(listed.iter().any(|form| guide.contains(form)), "docs/http.md does not list `{name}`");
    }
}

#[test]
fn the_guide_explains_every_counter_miss_and_kind_of_codec() {
    let operations = read("docs/operations.md");
    let stats = read("cachemacro-runtime/src/observe/stats.rs");
    let (_, counters) = stats.split_once("counters! {\n").expect("the counters are declared there");
    let (counters, _) = counters.split_once("\n}").expect("the declaration ends");
    let counters: Vec<&str> = counters
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(": "))
        .map(|(counter, _type)| counter)
        .filter(|word| !word.contains(' '))
        .collect();
    assert!(counters.contains(&"refused_fills"), "{counters:?}");
    let reasons = MissReason::ALL.iter().map(|reason| reason.as_str());
    let further = ["misses_by_reason", "errors_by_kind", "load_time", "store_time"];
    for name in counters.into_iter().chain(reasons).chain(further) {
        assert!(operations.contains(&format!("`{name}`")), "docs/operations.md does not explain `{name}`");
    }
}

#[test]
fn the_readme_names_every_example() {
    let readme = read("README.md");
    let manifest = read("examples/Cargo.toml");
    let names = manifest.split("[[example]]").skip(1).filter_map(|example| example.split('"').nth(1));
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name the example `{name}`");
    }
}

#[test]
fn the_index_of_the_examples_lists_every_one_and_its_command() {
    let index = read("examples/README.md");
    let mut listed = BTreeSet::new();
    for folder in ["examples", "examples/airports"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        for example in manifest.split("[[example]]").skip(1) {
            let name = example.split('"').nth(1).expect("an example has a name");
            let features =
                example.split_once("required-features = [\"").map(|(_, rest)| rest.split('"').next());
            let flag =
                features.flatten().map_or_else(String::new, |feature| format!(" --features {feature}"));
            let row = index.lines().find(|line| line.starts_with(&format!("| [`{name}`](")));
            let row = row.unwrap_or_else(|| panic!("examples/README.md does not list `{name}`"));
            assert!(row.contains(&format!("`cargo run --example {name}{flag}`")), "{row}");
            listed.insert(name.to_owned());
        }
    }
    let rows = index.lines().filter_map(|line| line.strip_prefix("| [`")?.split('`').next());
    assert_eq!(rows.map(str::to_owned).collect::<BTreeSet<_>>(), listed, "it lists those that there are");
}

/// What the checks on the project's servers run, and what people are told to run: `./scripts/…`, `.ci/…`.
fn scripts_named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| c.is_whitespace() || "`'\"(),;".contains(c));
    let words = words.map(|word| word.trim_start_matches("./").trim_end_matches(['.', ':']));
    let named = words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/"));
    named.map(str::to_owned).collect()
}

#[test]
fn every_script_that_is_named_is_there_and_none_is_unknown() {
    let workflows = fs::read_dir(root().join(".github/workflows")).expect("there are workflows");
    let workflows =
        workflows.map(|file| format!(".github/workflows/{}", file.expect("a file").file_name().display()));
    let mut run = BTreeSet::new();
    for path in workflows {
        let named = scripts_named_in(&read(&path));
        assert!(!named.is_empty(), "{path} calls no script");
        run.extend(named);
    }
    let mut told = run.clone();
    for path in ["CONTRIBUTING.md", "RELEASING.md", "README.md", ".ci/run"] {
        told.extend(scripts_named_in(&read(path)));
    }
    for name in &told {
        assert!(root().join(name).is_file(), "{name} is named and not there");
    }
    for script in fs::read_dir(root().join("scripts")).expect("there are scripts") {
        let name = format!("scripts/{}", script.expect("a file").file_name().display());
        assert!(told.contains(&name), "nobody is told of {name}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let more = [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "RELEASING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "examples/README.md",
        "cachemacro-cli/README.md",
        "cachemacro-derive/README.md",
        "cachemacro-http/README.md",
        "cachemacro-metrics/README.md",
        "cachemacro-runtime/README.md",
        "cachemacro-search/README.md",
    ];
    for (path, text) in pages().into_iter().chain(more.map(|path| (path.to_owned(), read(path)))) {
        // What a registry shows of a crate has no files beside it.
        let is_crates = path == "README.md" || path.starts_with("cachemacro");
        let folder = root().join(Path::new(&path).parent().expect("a page is in a folder"));
        for target in links(&prose(&text).0) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = match file.strip_prefix(REPOSITORY) {
                Some(file) => root().join(file),
                None if file.starts_with("https://") => continue,
                None if file.is_empty() => root().join(&path),
                None => {
                    assert!(!is_crates, "{path}: {target}: dead where the crate's page shows the README");
                    folder.join(file)
                }
            };
            assert!(file.exists(), "{path}: {target}");
            if !heading.is_empty() {
                let page = fs::read_to_string(&file).expect("a page");
                let (lines, _) = prose(&page);
                let known =
                    lines.iter().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(known, "{path}: {target}");
            }
        }
    }
}

#[test]
fn the_first_page_is_short_and_the_book_has_every_page() {
    assert!(read("README.md").lines().count() <= 300);
    let summary = read("docs/SUMMARY.md");
    let (lines, _) = prose(&summary);
    let listed: BTreeSet<String> = links(&lines).into_iter().map(|page| format!("docs/{page}")).collect();
    let there: BTreeSet<String> =
        pages().into_iter().map(|(path, _)| path).filter(|path| path != "README.md").collect();
    assert_eq!(listed, there);
    let index = read("docs/README.md");
    for page in there.iter().filter_map(|path| path.strip_prefix("docs/")).filter(|page| *page != "README.md")
    {
        assert!(index.contains(&format!("({page})")), "docs/README.md does not name {page}");
    }
    assert!(read("docs/book.toml").contains("src         = \".\""));
}

#[test]
fn every_code_block_is_compiled_or_says_that_it_is_no_rust() {
    let suite = read("tests/src/lib.rs");
    for (path, text) in pages() {
        for info in prose(&text).1 {
            assert!(
                ["rust", "rust,no_run", "toml", "bash", "text", "mermaid"].contains(&info),
                "{path} has a block marked `{info}`"
            );
        }
        // They are hidden in rustdoc only.
        assert!(
            !text.lines().skip(1).any(|line| line.trim_start().starts_with("# ")),
            "{path} has hidden lines"
        );
        assert!(path == "README.md" || suite.contains(&format!("../../{path}")), "{path} is not a doc test");
    }
    assert!(read("cachemacro/src/lib.rs").contains(r#"include_str!("../README.md")"#));
    assert_eq!(read("cachemacro/README.md"), read("README.md"));
}

/// The test file that a word of `docs/consistency.md` names, if it names one.
fn test_file(word: &str) -> Option<String> {
    let is_source = Path::new(word).extension().is_some_and(|end| end == "rs");
    is_source
        .then(|| if word.contains('/') { word.to_owned() } else { format!("tests/tests/protocol/{word}") })
}

#[test]
fn the_tests_that_the_guide_names_are_there() {
    let consistency = read("docs/consistency.md");
    for path in consistency.split('`').skip(1).step_by(2).filter_map(test_file) {
        assert!(root().join(&path).exists(), "docs/consistency.md names {path}");
    }
}

/// The guarantees.
const GUARANTEES: [&str; 9] = ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9"];

/// Whether a comment names this guarantee.
fn names(text: &str, guarantee: &str) -> bool {
    let comments = text.lines().filter_map(|line| line.split_once("//").or_else(|| line.split_once("--")));
    comments.flat_map(|(_, said)| said.split(|c: char| !c.is_alphanumeric())).any(|word| word == guarantee)
}

/// The text of all files in a folder of the runtime's sources.
fn texts(folder: &str) -> String {
    fn add(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() && !path.ends_with("conformance") {
                add(&path, text);
            } else if path.is_file() && !path.ends_with("tests.rs") {
                *text += &fs::read_to_string(&path).expect("a source can be read");
            }
        }
    }
    let mut text = String::new();
    add(&root().join("cachemacro-runtime/src").join(folder), &mut text);
    text
}

#[test]
fn every_guarantee_is_named_where_it_is_decided_and_on_the_tests_that_would_fail() {
    let consistency = read("docs/consistency.md");
    let (sources, suite) = (texts("."), texts("store/conformance"));
    for guarantee in GUARANTEES {
        assert!(names(&sources, guarantee), "no line of code says that it decides {guarantee}");
        let section = consistency.split("\n### ").find(|section| section.starts_with(guarantee));
        let section = section.and_then(|section| section.split("\n## ").next()).unwrap_or_default();
        let tests: BTreeSet<String> = section.split('`').skip(1).step_by(2).filter_map(test_file).collect();
        assert!(!tests.is_empty(), "docs/consistency.md names no test of {guarantee}");
        for test in tests {
            // What runs the conformance suite has its cases.
            let text = if test.ends_with("conformance.rs") { suite.clone() } else { read(&test) };
            assert!(names(&text, guarantee), "{test}: no test says that it upholds {guarantee}");
        }
    }
}

#[test]
fn the_readme_names_the_minimum_rust_version() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version")?.split('"').nth(1));
    let version = version.expect("the workspace names it");
    assert!(read("README.md").contains(&format!("\nRust {version} or later")), "README.md: Rust {version}");
}

/// How many keys the server tracks for clients that are to be told of a change.
async fn tracked_keys(admin: &mut MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("stats").query_async(admin).await.expect("the server answers");
    let count = stats.lines().find_map(|line| line.strip_prefix("tracking_total_keys:"));
    count.and_then(|count| count.trim().parse().ok()).expect("the server counts them")
}

/// How often the server carried out each command so far, those of scripts too; Redis 6 does not tell the subcommands apart.
async fn carried_out(admin: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(admin).await.expect("the server answers");
    let counts = stats.lines().filter_map(|line| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((command.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

/// Whether the server has a client wait for a key.
async fn is_waited_for(admin: &mut MultiplexedConnection) -> bool {
    let clients: String = redis::cmd("INFO").arg("clients").query_async(admin).await.expect("it answers");
    clients.lines().any(|line| line.strip_prefix("blocked_clients:").is_some_and(|count| count.trim() != "0"))
}

/// Whether one of these commands needs this right: `config|get` needs `config|get`, `xgroup|create` needs `xgroup`. Redis 6 tells of `config`.
fn is_used(right: &str, counts: &BTreeMap<String, u64>) -> bool {
    let command = right.split('|').next().unwrap_or(right);
    let is_part = |known: &String| known.strip_prefix(right).is_some_and(|rest| rest.starts_with('|'));
    counts.contains_key(right) || counts.keys().any(is_part) || (is_redis_6() && counts.contains_key(command))
}

/// What of the store is neither asked for by entries nor by copies: events, for each process and in a group, and queues of writes.
async fn use_events_and_queues(
    store: &dyn Store,
    admin: &mut MultiplexedConnection,
) -> cachemacro_runtime::Result<()> {
    let streams = store.streams().expect("it keeps them");
    let stream = "{shop:event:renamed}";
    let mailer = Member::new(stream, "mailers", "one");
    let before = streams.end(stream).await?;
    // The second finds the group, and looks who is in it.
    streams.join(mailer).await?;
    streams.join(mailer).await?;
    let first = streams.append(stream, "Ada".into(), 1_000).await?;
    let is_appended = Cell::new(false);
    let waited = async {
        // While its connection is being opened it gives up early.
        while !is_appended.get() {
            streams.grown(stream, first, LONG).await;
        }
    };
    let appended = async {
        wait_until("somebody waits for it", DEADLINE, async || is_waited_for(admin).await).await;
        let appended = streams.append(stream, "Grace".into(), 1_000).await;
        is_appended.set(true);
        appended
    };
    tokio::join!(waited, appended).1?;
    assert_eq!(streams.after(stream, before, 10).await?.len(), 2);
    let taken = streams.take(mailer, LONG, 10).await?;
    streams.hold(mailer, &[first.number]).await?;
    // Of somebody who is gone.
    let again = streams.take(Member::new(stream, "mailers", "two"), Duration::ZERO, 10).await?;
    assert_eq!((taken.items.len(), again.items.len()), (2, 2));
    streams.bury(mailer, &taken.items[0].item, "no such user").await?;
    let buried = streams.buried(mailer, 10).await?;
    assert!(streams.unbury(mailer, &buried[0].id).await?);
    streams.finish(mailer, taken.items[1].item.place.number).await?;
    streams.leave(mailer).await?;

    let queues = store.queues().expect("it keeps them");
    let partition = "{shop:behind:renames:07}";
    let fence = queues.own(partition, "one", LONG).await?.expect("nobody does");
    for (key, is_dead) in [("user:7", false), ("user:8", true)] {
        let Accepted::As(number) = queues.accept(partition, key, "Ada".into(), 100).await? else {
            panic!("it is full")
        };
        assert!(queues.pending(partition, key).await?.is_some());
        let queued = queues.queued(partition, 0, 10).await?;
        let (numbers, keys) = ([number], [(key, number)]);
        let settle = Settle::new(&numbers, &keys);
        let settle = if is_dead { settle.with_dead(&queued[0], "no name") } else { settle };
        assert!(queues.settle(partition, fence, settle).await?);
    }
    assert_eq!(queues.depth(partition).await?.count, 0);
    let dead = queues.dead(partition, 10).await?;
    assert!(queues.forget(partition, &dead[0].id).await?);
    queues.disown(partition, "one").await
}

/// Each right is used: without it the server would refuse a command, and say so in its log. With all of them it refuses none.
#[tokio::test]
async fn the_rights_that_the_guide_names_are_enough_and_none_too_many() {
    let operations = read("docs/operations.md");
    let rule = operations
        .lines()
        .find_map(|line| line.trim().strip_prefix("ACL SETUSER shop "))
        .expect("docs/operations.md shows an ACL rule");
    let server = RedisServer::start();
    let mut admin = server.client().await;
    let mut set_user = redis::cmd("ACL");
    set_user.arg("SETUSER").arg("shop");
    for word in rule.split_whitespace() {
        set_user.arg(word);
    }
    set_user.exec_async(&mut admin).await.expect("the rule is one");

    run(&mut admin, "CONFIG RESETSTAT").await;

    let url = format!("redis://shop:PASSWORD@{}", server.address());
    let build = || {
        let settings = Cache::builder().redis(url.clone()).namespace("shop").command_timeout(DEADLINE);
        let settings = settings.health_interval(Duration::from_millis(50));
        settings.report_interval(Duration::from_millis(50)).build().expect("acceptable settings")
    };
    let (cache, other) = (build(), build());
    cache.connect().await.expect("it may");
    // The test asks for it, too, from now on.
    assert!(carried_out(&mut admin).await.contains_key("info"));
    let entry = |cache: &Cache| cache.entry::<u32>("number", 7).with_tags(["numbers"]);

    // A load, a caller in another process that waits for it, and a hit.
    let (begun, mut begins) = tokio::sync::oneshot::channel();
    let (go, goes) = tokio::sync::oneshot::channel::<()>();
    let first = tokio::spawn({
        let entry = entry(&cache);
        async move {
            entry
                .get_or_load(async || {
                    begun.send(()).expect("the test waits");
                    goes.await.expect("the test lets it go on");
                    1
                })
                .await
        }
    });
    (&mut begins).await.expect("the load begins");
    let second = tokio::spawn({
        let entry = entry(&other);
        async move { entry.get_or_load(async || 2).await }
    });
    wait_until("the server tracks the key", DEADLINE, async || tracked_keys(&mut admin).await > 0).await;
    go.send(()).expect("the load waits");
    assert_eq!((first.await.ok(), second.await.ok()), (Some(1), Some(1)));

    let entry = entry(&cache);
    assert_eq!(entry.get().await.expect("it may"), Some(1));
    assert!(entry.has().await.expect("it may"));
    entry.set(&3).await.expect("it may");
    // Its lease outlives what is stored, so the key's expiry is raised.
    let short = cache.entry::<u32>("number", 8).with_ttl(Duration::from_secs(2));
    short.set(&3).await.expect("it may");
    Mode::Refresh.scope(short.get_or_load(async || 4)).await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut admin).await.expect("the server forgets its scripts");
    entry.update(|number| number.unwrap_or(0) + 1).await.expect("it may");
    for sum in [2, 4] {
        assert_eq!(cache.entry::<i64>("count", ()).increment(2).await.expect("it may"), sum);
    }
    // One that is large, and copies in this process.
    let large = cache.entry::<String>("number", "large");
    for _ in 0..2 {
        assert_eq!(large.get_or_load(async || "large".repeat(10_000)).await.len(), 50_000);
        cache.stored().await;
    }
    let local = Cache::builder().redis(url.clone()).namespace("shop").command_timeout(DEADLINE).local(LONG);
    let local = local.build().expect("acceptable settings");
    wait_until("a copy answers", DEADLINE, async || {
        local.entry::<u32>("number", 9).get_or_load(async || 9).await;
        local.stats().total.local_hits > 0
    })
    .await;
    let store = RedisStore::new(RedisConfig::new(&*url).command_timeout(DEADLINE)).expect("acceptable");
    use_events_and_queues(&store, &mut admin).await.expect("it may");
    cache.evict_tags(["numbers"]).await.expect("it may");
    entry.evict().await.expect("it may");
    cache.evict_prefix("number").await.expect("it may");
    let figures = cache.health().await.expect("it may").store.figures;
    assert!(figures.is_some_and(|figures| figures.role == "master"));
    wait_until("both have reported", DEADLINE, async || {
        let reports: u64 =
            redis::cmd("ZCARD").arg("{shop:report}").query_async(&mut admin).await.expect("a sorted set");
        reports == 2
    })
    .await;
    other.shutdown().await.expect("nothing is left to deliver");
    cache.clear().await.expect("it may");
    assert!(cache.entry::<u32>("number", 7).get().await.expect("it may").is_none());

    let counts = carried_out(&mut admin).await;
    let rights = rule.split_whitespace().filter_map(|word| word.strip_prefix('+'));
    let unused: Vec<&str> = rights.filter(|right| !is_used(right, &counts)).collect();
    assert_eq!(unused, Vec::<&str>::new(), "nothing asks for these");

    let denied: Vec<redis::Value> =
        redis::cmd("ACL").arg("LOG").query_async(&mut admin).await.expect("the log can be read");
    assert!(denied.is_empty(), "{denied:#?}");
    let foreign = Cache::builder().redis(url).namespace("other").build().expect("acceptable settings");
    let refused = foreign.entry::<u32>("number", 7).get().await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::Refused),
        "other namespaces are out of reach"
    );
}
