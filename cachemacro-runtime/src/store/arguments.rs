//! The arguments of a call as they are kept beside its value.

/// How many bytes need no memory of their own: a number, with what tells its function and cache, has 33.
const INLINE: usize = 38;

/// The bytes of arguments.
#[derive(Debug)]
pub(crate) enum Arguments {
    Few { length: u8, bytes: [u8; INLINE] },
    Many(Box<[u8]>),
}

impl Arguments {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut few = [0; INLINE];
        match (few.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(bytes);
                Self::Few { length, bytes: few }
            }
            _ => Self::Many(bytes.into()),
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Few { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Many(bytes) => bytes,
        }
    }
}
