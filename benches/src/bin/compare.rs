//! Compares cachemacro with what else there is, and writes `docs/benchmarks.md`. `compare --help` says how.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        // What it starts itself with.
        Some("ask") => cachemacro_benches::run::ask(&args),
        Some("call") => cachemacro_benches::questions::call(&args[1]),
        Some("watch") => cachemacro_benches::questions::watch(&args[1]),
        _ => return cachemacro_benches::run::compare(&args),
    }
    ExitCode::SUCCESS
}
