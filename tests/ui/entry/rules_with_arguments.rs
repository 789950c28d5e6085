use cachemacro::cached;

#[cached(entry = f_entry, unless = *result == id, tags = ["all", "{name}:{result}", format!("{name}{result}")])]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

struct Service(u32);

impl Service {
    #[cached(entry = g_entry, ttl = std::time::Duration::from_secs((self.0 + result).into()), tags = ["{self.0}-{result}"])]
    async fn g(&self, id: u32) -> u32 {
        id
    }
}

#[cached(entry = h_entry, unless = dry)]
async fn h(id: u32, dry: bool) -> u32 {
    let _ = dry;
    id
}

#[cached(entry = i_entry, tags = |id| [format!("{id}:{result}")])]
async fn i(id: u32) -> u32 {
    id
}

fn main() {}
