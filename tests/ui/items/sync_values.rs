use std::rc::Rc;

use cachemacro::cached;

struct NotClone;

#[cached]
fn moved(id: u32) -> NotClone {
    NotClone
}

#[cached]
fn local(id: u32) -> Rc<u32> {
    Rc::new(id)
}

#[cached]
fn borrowed(text: &str) -> &str {
    text
}

#[cached]
fn nameless(id: u32) -> impl std::fmt::Display {
    id
}

#[cached(cache_err)]
fn failing(id: u32) -> Result<u32, NotClone> {
    Err(NotClone)
}

#[cached]
fn nested(id: u32) -> Option<Result<u32, String>> {
    None
}

fn main() {}
