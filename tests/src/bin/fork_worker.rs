//! A process for `tests/protocol/forks.rs` that forks: it has drawn ids before, and each of two children draws some and
//! says them.

use cachemacro_runtime::store::{FillId, Token, Version};
use cachemacro_tests::worker::say;

fn main() {
    // Whatever is kept between draws is there now, and copied to both.
    draw();
    let children = [1, 2].map(|child| match fork::fork().expect("it forks") {
        fork::Fork::Child => {
            for ids in std::iter::repeat_with(draw).take(100) {
                say(format_args!("{child} {} {} {}", ids[0], ids[1], ids[2]));
            }
            std::process::exit(0);
        }
        fork::Fork::Parent(id) => id,
    });
    for child in children {
        assert_eq!(fork::waitpid(child).expect("a child of this process"), 0, "the child ended well");
    }
    say("done");
}

fn draw() -> [u64; 3] {
    [Token::random().get(), FillId::random().get(), Version::random().get()]
}
