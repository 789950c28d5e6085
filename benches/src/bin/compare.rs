//! Hits side by side. `compare one`: client and server on one processor, one worker. `compare two`: two workers, nobody pinned.

use std::process::Command;
use std::time::Duration;

use cachemacro_benches::rounds::compare;
use cachemacro_benches::server::Server;
use cachemacro_benches::subjects::Subject;

const PROCESSOR: usize = 1;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let setting = args.first().map(String::as_str).unwrap_or_default();
    let only = args.get(1).map(String::as_str).unwrap_or_default();
    let workers = match setting {
        "one" if std::env::var_os("CACHEMACRO_PINNED").is_none() => {
            let program = std::env::current_exe().expect("it runs");
            let status = Command::new("taskset")
                .args(["-c", &PROCESSOR.to_string()])
                .arg(program)
                .args(&args)
                .env("CACHEMACRO_PINNED", "1")
                .status();
            std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(1));
        }
        "one" => 1,
        "two" => 2,
        _ => panic!("compare one|two [part of a title]"),
    };
    let server = Server::start((workers == 1).then_some(PROCESSOR));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(setting, only, &server.url()));
}

async fn run(setting: &str, only: &str, url: &str) {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(7);
    let time = Duration::from_millis(300);
    for (size, note) in [("260 B", 67), ("10 KiB", 10_000)] {
        let subjects = Subject::all(url, note).await;
        for tasks in [1, 2, 64, 512] {
            let title = format!("{setting}, {size}, {tasks} tasks");
            if title.contains(only) {
                compare(&title, &subjects, tasks, rounds, time).await;
            }
        }
    }
}
