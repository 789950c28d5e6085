use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Option<User> {
    Some(User { id: std::rc::Rc::new(id) })
}

struct User {
    id: std::rc::Rc<u32>,
}

fn main() {}
