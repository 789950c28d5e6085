use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> std::rc::Rc<u32> {
    std::rc::Rc::new(id)
}

fn main() {}
