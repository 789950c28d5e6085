//! The value that is cached: ten fields, 260 bytes in bincode, or more with a longer note.

use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};

/// How long the note of a usual value is.
pub const NOTE: usize = 67;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheableResponse)]
#[allow(missing_docs)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub city: String,
    pub street: String,
    pub roles: Vec<String>,
    pub note: String,
    pub balance: i64,
    pub active: bool,
    pub score: f64,
}

/// The user of this number, with a note of so many bytes.
pub fn user_with(id: u64, note: usize) -> User {
    User {
        id,
        name: format!("Ada Lovelace the {id:04}th"),
        email: format!("ada.lovelace.{id:04}@example.org"),
        city: "London, England".into(),
        street: "12 St James's Square, Westminster".into(),
        roles: vec!["reader".into(), "writer".into(), "admin".into()],
        note: "n".repeat(note),
        balance: -1_234_567,
        active: true,
        score: 0.75,
    }
}

/// The user of this number, 260 bytes.
pub fn user(id: u64) -> User {
    user_with(id, NOTE)
}

/// As everybody stores it who does not do so by an own format.
pub fn encode(user: &User) -> Vec<u8> {
    bincode::serde::encode_to_vec(user, bincode::config::standard()).expect("it can be encoded")
}

/// As it is read again.
pub fn decode(bytes: &[u8]) -> User {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it was encoded").0
}
