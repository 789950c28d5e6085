use std::marker::PhantomData;

use cachemacro::cached;

#[cached(key = "{id}:{N}")]
async fn f<const N: usize>(id: u32) -> u32 {
    id + N as u32
}

#[cached(tags = ["of:{T}"])]
async fn g<T>(id: u32) -> u32 {
    id
}

#[cached(tags = ["of:{N}"])]
async fn i<const N: usize>(id: u32) -> u32 {
    id + N as u32
}

const VERSION: u32 = 1;

#[cached(key = "{VERSION}:{id}")]
async fn j(id: u32) -> u32 {
    id + VERSION
}

struct Repo<T>(PhantomData<T>);

impl<T: Sync> Repo<T> {
    #[cached(key = "{T}:{id}")]
    async fn h(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
