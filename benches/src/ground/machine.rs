//! What figures were taken on, and of what.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::answer::Taken;

/// This package's lock file: which versions are compared.
const LOCK: &str = include_str!("../../Cargo.lock");

/// What is compared.
const COMPARED: [&str; 17] = [
    "amalgam-cache",
    "axum-response-cache",
    "cached",
    "cachekit",
    "cachemacro",
    "deadpool-redis",
    "fred",
    "hitbox",
    "hitbox-moka",
    "hitbox-redis",
    "hitbox-tower",
    "moka",
    "quick_cache",
    "redis",
    "rustis",
    "tokio",
    "tower-http-cache",
];

/// The folder of this package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's folder.
pub fn repository() -> PathBuf {
    package().parent().expect("the package is in the repository").to_owned()
}

/// Describes all.
pub fn describe(quick: bool) -> Taken {
    Taken {
        commit: commit(),
        machine: machine(),
        rustc: first_line("rustc", &["--version"]),
        server: first_line("redis-server", &["--version"])
            .split(" sha=")
            .next()
            .unwrap_or_default()
            .to_owned(),
        versions: COMPARED.iter().filter_map(|name| Some(format!("{name} {}", version(name)?))).collect(),
        load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        quick,
    }
}

/// The commit, and whether anything outside of what is written from figures differs from it.
fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short=10", "HEAD"]);
    let changed = output(
        "git",
        &["status", "--porcelain", "--", ".", ":!docs/benchmarks*", ":!benches/counts/counts.txt"],
    );
    if changed.is_empty() { commit } else { format!("{commit} with changes") }
}

fn machine() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let virtual_ = if info.contains("hypervisor") { ", virtual" } else { "" };
    let system = first_line("uname", &["-sr"]);
    format!("{count} processors of {model}{virtual_}; {system}")
}

/// The version of a package in the lock file. Where there are several, the last.
fn version(name: &str) -> Option<&'static str> {
    let start = format!("name = \"{name}\"\nversion = \"");
    LOCK.rsplit_once(&start)?.1.split('"').next()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

fn first_line(program: &str, args: &[&str]) -> String {
    output(program, args).lines().next().unwrap_or("unknown").to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).current_dir(repository()).output();
    done.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
}
