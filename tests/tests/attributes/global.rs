//! The cache that nobody set: made from the environment when an attributed function is first called.

use cachemacro_tests::{RedisServer, Worker, namespace};

/// What a process said that ran in such an environment: how often a body ran in five calls, its log, its health.
async fn told(envs: &[(&str, &str)]) -> (u32, Vec<String>, String) {
    let mut worker = Worker::spawn(env!("CARGO_BIN_EXE_global_worker"), &[], envs);
    let bodies = worker.expect("bodies").await.parse().expect("a number");
    let mut log = Vec::new();
    let health = loop {
        let line = worker.line().await;
        match line.split_once(' ') {
            Some(("log", line)) => log.push(line.to_owned()),
            Some(("health", health)) => break health.to_owned(),
            _ => panic!("the worker said {line:?}"),
        }
    };
    worker.finish().await;
    (bodies, log, health)
}

#[tokio::test]
async fn the_server_that_the_environment_names_is_used() {
    let server = RedisServer::shared();
    for variable in ["REDIS_URL", "CACHEMACRO_REDIS_URL"] {
        let namespace = namespace();
        let envs = [
            (variable, &*server.url()),
            ("CACHEMACRO_NAMESPACE", &*namespace),
            ("CACHEMACRO_COMMAND_TIMEOUT", "10s"),
        ];
        let (bodies, log, health) = told(&envs).await;
        assert_eq!((bodies, &*health), (1, "redis disabled=false"), "{log:?}");
        let key = format!("{namespace}:row:7");
        let stored: bool =
            redis::cmd("EXISTS").arg(key).query_async(&mut server.client().await).await.expect("…");
        assert!(stored, "the entry is on the server");
        let [made] = &log[..] else { panic!("which store it chose is logged once: {log:?}") };
        assert!(made.contains("INFO") && made.contains("cache made store=\"redis\""), "{made}");
    }
}

#[tokio::test]
async fn without_a_server_it_is_in_memory_and_says_so_once() {
    let (bodies, log, health) = told(&[]).await;
    assert_eq!((bodies, &*health), (1, "memory disabled=false"));
    let [made] = &log[..] else { panic!("{log:?}") };
    assert!(made.contains("INFO") && made.contains("cache made store=\"memory\""), "{made}");
}

#[tokio::test]
async fn a_wrong_environment_is_an_error_in_the_log_and_functions_run() {
    let wrong: [(&[(&str, &str)], &str); 4] = [
        (&[("CACHEMACRO_TTL", "soon")], "CACHEMACRO_TTL"),
        (&[("CACHEMACRO_STORE", "redis")], "CACHEMACRO_REDIS_URL"),
        (&[("REDIS_URL", "redis+clusters://:hush@nowhere.invalid")], "REDIS_URL"),
        (&[("REDIS_URL", "redis://:hush@nowhere.invalid:port")], "REDIS_URL"),
    ];
    for (envs, named) in wrong {
        let (bodies, log, health) = told(envs).await;
        assert_eq!((bodies, &*health), (5, "memory disabled=true"), "{envs:?}: each call runs");
        let errors: Vec<_> = log.iter().filter(|line| line.starts_with("ERROR")).collect();
        let [error] = errors[..] else { panic!("{envs:?}: told once: {log:?}") };
        assert!(error.contains(named), "{envs:?}: {error}");
        assert!(log.iter().all(|line| !line.contains("hush")), "{log:?}");
    }
}

#[tokio::test]
async fn caching_can_be_turned_off() {
    let (bodies, log, health) = told(&[("CACHEMACRO_DISABLED", "1")]).await;
    assert_eq!((bodies, &*health), (5, "memory disabled=true"));
    assert!(log.len() == 1 && log[0].contains("disabled=true"), "{log:?}");
}
