//! The keys that entries are sealed with, from the environment.

use super::CacheBuilder;
use super::env::Env;
use crate::engine::sealing::Sealing;
use crate::ground::error::{Error, ErrorKind, Result};

const NAMES: &str = "CACHEMACRO_SEAL_NAMES";
const KEYS: &str = "CACHEMACRO_SEAL_KEYS";
const ONLY: &str = "CACHEMACRO_SEAL_ONLY";

impl CacheBuilder {
    pub(super) fn sealed_from(&mut self, env: &Env<'_>) -> Result<()> {
        let (names, keys) = match (env.get(NAMES), env.get(KEYS)) {
            (None, None) => {
                // Nothing would be sealed of what is to be.
                return if env.get(ONLY).is_some() { Err(needs(ONLY, KEYS)) } else { Ok(()) };
            }
            (Some(names), Some(keys)) => (names, keys),
            (Some(_), None) => return Err(needs(NAMES, KEYS)),
            (None, Some(_)) => return Err(needs(KEYS, NAMES)),
        };
        let names = secret(&names).ok_or_else(|| Env::wrong(NAMES, "64 hexadecimal digits"))?;
        let wrong = || Env::wrong(KEYS, "keys such as `2:` and 64 hexadecimal digits, separated by commas");
        let mut keys = keys.split(',').map(|key| numbered(key.trim()).ok_or_else(wrong));
        let (id, key) = keys.next().unwrap_or_else(|| Err(wrong()))?;
        let mut sealing = Sealing::new(&names, id, &key);
        for key in keys {
            let (id, key) = key?;
            sealing = sealing.reads(id, &key);
        }
        if let Some(only) = env.get(ONLY) {
            let prefixes: Vec<&str> = only.split(',').map(str::trim).collect();
            if prefixes.iter().any(|prefix| prefix.is_empty()) {
                return Err(Env::wrong(ONLY, "prefixes, separated by commas"));
            }
            sealing = sealing.only(prefixes);
        }
        self.settings.seals.sealing = Some(sealing.into());
        Ok(())
    }
}

/// A number, a colon and a key.
fn numbered(text: &str) -> Option<(u16, [u8; 32])> {
    let (id, key) = text.split_once(':')?;
    Some((id.parse().ok()?, secret(key)?))
}

/// 32 bytes in hexadecimal digits.
fn secret(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn needs(one: &str, other: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{one} needs {other} too"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(names: &str, keys: &str, only: &str) -> Result<CacheBuilder> {
        CacheBuilder::default().env_from(|name| {
            let value = match name {
                NAMES => names,
                KEYS => keys,
                ONLY => only,
                _ => "",
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn keys_are_read_from_the_environment_or_refused_unseen() {
        let (a, b) = ("0a".repeat(32), "FB".repeat(32));
        let sealing = |builder: CacheBuilder| builder.settings.seals.sealing.expect("there are keys");
        let both = sealing(env(&a, &format!("2:{b}, 1:{a}"), "session, patient").expect("acceptable"));
        assert!(both.check().is_ok());
        assert!(env("", "", "").expect("acceptable").settings.seals.sealing.is_none());
        for (names, keys, only, says) in [
            (&a[..], String::new(), "", "CACHEMACRO_SEAL_NAMES needs CACHEMACRO_SEAL_KEYS"),
            ("", format!("1:{a}"), "", "CACHEMACRO_SEAL_KEYS needs CACHEMACRO_SEAL_NAMES"),
            ("", String::new(), "session", "CACHEMACRO_SEAL_ONLY needs"),
            (&a[..], format!("1:{a}"), ",", "CACHEMACRO_SEAL_ONLY has a value"),
            (&a[..], format!("1:{a}"), "session,", "CACHEMACRO_SEAL_ONLY has a value"),
            ("0a", format!("1:{a}"), "", "CACHEMACRO_SEAL_NAMES has a value"),
            (&a[..], a.clone(), "", "CACHEMACRO_SEAL_KEYS has a value"),
            (&a[..], format!("1:{}", &a[1..]), "", "CACHEMACRO_SEAL_KEYS has a value"),
            (&a[..], format!("70000:{a}"), "", "CACHEMACRO_SEAL_KEYS has a value"),
            (&a[..], format!("1:{a},"), "", "CACHEMACRO_SEAL_KEYS has a value"),
            (&a[..], format!("1:{}", "é".repeat(32)), "", "CACHEMACRO_SEAL_KEYS has a value"),
        ] {
            let error = env(names, &keys, only).expect_err(says);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(says) && !shown.contains("0a0a"), "{shown}");
        }
        for keys in [format!("0:{a}"), format!("1:{a},1:{b}")] {
            let error =
                env(&a, &keys, "").expect("each is understood").memory().build().expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
