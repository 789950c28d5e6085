//! What does a hit on Redis cost one caller, by its number of tags?

use cachemacro_benches::ground::pin::Setting;
use cachemacro_benches::ground::rounds::Subject;
use cachemacro_benches::ground::server::Server;
use cachemacro_benches::peers::attributes::{self, Ours};
use divan::Bencher;

fn main() {
    Setting::One.enter();
    let server = Server::start();
    attributes::open(&server.url());
    divan::main();
}

#[divan::bench(consts = [0, 1, 2, 4, 8, 16])]
fn tags<const TAGS: usize>(bencher: Bencher<'_, '_>)
where
    Ours<TAGS>: Subject,
{
    let runtime = Setting::One.runtime();
    bencher.bench(|| runtime.block_on(Ours::<TAGS>.go(7)));
}
