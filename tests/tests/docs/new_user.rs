//! First steps, taken as a new user takes them: a crate of its own, outside of the workspace, with what the documentation says and
//! nothing else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use cachemacro::Cache;
use cachemacro_tests::server::free_port;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, without_settings};

/// The code blocks of a text, each with its language.
fn blocks(text: &str) -> Vec<(String, String)> {
    let (mut blocks, mut block) = (Vec::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(language), None) => block = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Those of the section "Your first cached function".
fn steps() -> Vec<(String, String)> {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("## Your first cached function").expect("the section is there");
    let (section, _) = section.split_once("\n## ").expect("another one follows");
    blocks(section)
}

/// A crate outside of the workspace, and `cargo` on it.
struct Newcomer {
    krate: tempfile::TempDir,
    /// Different ones share what is compiled of their dependencies.
    name: &'static str,
}

const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/new_user");

impl Newcomer {
    /// With these dependencies, as the documentation writes them, and these files of source.
    fn new(name: &'static str, dependencies: &str, sources: &[(&str, &str)]) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut dependencies = dependencies.to_owned();
        for name in ["cachemacro", "cachemacro-http"] {
            let path = workspace.join(name).display().to_string();
            dependencies = dependencies
                .replace(&format!("{name} = \"0.1\""), &format!("{name} = {{ path = \"{path}\" }} # "))
                .replace(
                    &format!("{name} = {{ version = \"0.1\""),
                    &format!("{name} = {{ path = \"{path}\""),
                );
        }
        assert!(dependencies.contains("path") && !dependencies.contains("\"0.1\""), "{dependencies}");
        let krate = tempfile::tempdir().expect("a folder");
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{dependencies}");
        fs::write(krate.path().join("Cargo.toml"), manifest).expect("written");
        // The versions that the tests were built with, so that nothing is fetched.
        fs::copy(workspace.join("Cargo.lock"), krate.path().join("Cargo.lock")).expect("copied");
        fs::create_dir(krate.path().join("src")).expect("a folder");
        for (file, source) in sources {
            fs::write(krate.path().join("src").join(file), source).expect("written");
        }
        Self { krate, name }
    }

    /// The program, once it was built.
    fn program(&self) -> PathBuf {
        let name = format!("{}{}", self.name, std::env::consts::EXE_SUFFIX);
        Path::new(TARGET).join("debug").join(name)
    }

    fn cargo(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO"));
        without_settings(&mut command)
            .args([verb, "--quiet", "--offline", "--manifest-path"])
            .arg(self.krate.path().join("Cargo.toml"))
            .args(["--target-dir", TARGET])
            .env("RUSTFLAGS", "-D warnings")
            // Nobody looks into it with a debugger.
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        command
    }
}

#[test]
fn the_first_steps_lead_to_a_program_that_runs() {
    let [(toml, dependencies), (rust, main), (also_rust, further)] = &steps()[..] else {
        panic!("the README's first steps are a manifest, a program and a function")
    };
    assert_eq!([toml, rust, also_rust], ["toml", "rust", "rust"]);
    let (main, further) = (format!("mod step3;\n{main}"), format!("#![allow(dead_code)]\n{further}"));
    let newcomer = Newcomer::new("newcomer", dependencies, &[("main.rs", &main), ("step3.rs", &further)]);
    let run = newcomer.cargo("run").output().expect("cargo is there");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert_eq!(said, "");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("hits: 1, loads: 1"), "{said}");
    assert!(said.contains("INFO") && said.contains("memory"), "the log names the store: {said}");
}

/// What a service answers: its status, its X-Cache, its validator and its body.
fn ask(port: u16, method: &str, path: &str, headers: &str) -> Option<[String; 4]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer within its deadline");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let status = head.split(' ').nth(1)?.to_owned();
    Some([status, field("x-cache"), field("etag"), body.to_owned()])
}

/// A process that is ended where its test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The service of the page about HTTP, by requests as `curl -i` sends them.
#[test]
fn a_service_with_the_layer_is_cached_evicted_and_outlives_its_redis() {
    let blocks = blocks(include_str!("../../../docs/http.md"));
    let of = |language: &str| {
        &blocks.iter().find(|(of, _)| of.starts_with(language)).expect("the page begins with a program").1
    };
    let (mut server, port) = (RedisServer::start(), free_port());
    let namespace = namespace();
    let program = of("rust").replace("127.0.0.1:3000", &format!("127.0.0.1:{port}"));
    assert!(program.contains(&port.to_string()));
    let newcomer = Newcomer::new("service", of("toml"), &[("main.rs", &program)]);
    let built = newcomer.cargo("build").output().expect("cargo is there");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut run = Command::new(newcomer.program());
    without_settings(&mut run)
        .env("REDIS_URL", server.url())
        .env("CACHEMACRO_NAMESPACE", &namespace)
        .stdin(Stdio::null());
    let _service = Ended(run.spawn().expect("it is built"));
    let began = Instant::now();
    let told = |path: &str, headers: &str| loop {
        match ask(port, "GET", path, headers) {
            Some(answer) => return answer,
            None => assert!(began.elapsed() < 3 * DEADLINE, "it does not listen"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    let word = |path: &str| told(path, "")[1].clone();

    let [status, first, tag, body] = told("/products/1", "");
    assert_eq!([&*status, &*first, &*body], ["200", "MISS", "product 1"]);
    assert_eq!(word("/products/1"), "HIT");
    let [status, again, _, body] = told("/products/1", &format!("if-none-match: {tag}\r\n"));
    assert_eq!([&*status, &*again, &*body], ["304", "HIT", ""]);
    assert_eq!(word("/products/2"), "MISS");

    // By its own route, and by another process's function.
    assert_eq!(ask(port, "DELETE", "/products/1", "").expect("it listens")[0], "200");
    assert_eq!(word("/products/1"), "MISS");
    assert_eq!(word("/products/1"), "HIT");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let cache = Cache::builder().redis(server.url()).namespace(&namespace).build().expect("acceptable");
        cache.evict_tags(["product:1"]).await.expect("the server answers");
    });
    assert_eq!(word("/products/1"), "MISS");
    assert_eq!(word("/products/2"), "HIT", "it carries another tag");

    for (user, expected) in [("1", "MISS"), ("2", "MISS"), ("1", "HIT"), ("2", "HIT")] {
        let [_, word, _, body] = told("/me", &format!("authorization: Bearer {user}\r\n"));
        assert_eq!((word.as_str(), body), (expected, format!("user {user}")));
    }

    server.stop();
    for _ in 0..3 {
        let [status, _, _, body] = told("/products/1", "");
        assert_eq!([&*status, &*body], ["200", "product 1"]);
        assert_eq!(told("/me", "authorization: Bearer 2\r\n")[3], "user 2");
    }
}
