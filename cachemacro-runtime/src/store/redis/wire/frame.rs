//! The protocol's bytes: commands as they are sent, and replies as they come, in RESP2 and RESP3.
//!
//! A reply is first looked through, in whatever pieces it comes and each byte once, until all of it is there; only then is
//! it taken apart. No length that a server claims is believed: nothing is allocated but for bytes that have come. Knows no
//! connection and no meaning of any command.

use std::fmt;

use bytes::Bytes;

/// How long a reply may be. A server's strings are at most half of it.
const LONGEST: u64 = 1 << 30;
/// How long a line may be: a length, a number, a status or an error.
const LONGEST_LINE: usize = 64 * 1024;
/// The fewest bytes of an element.
const SHORTEST: u64 = 3;
/// How deep arrays may lie in each other.
const DEEPEST: usize = 16;

/// Bytes that are not the protocol, or beyond its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// How many bytes a part of a command has at most besides its own: its length, and the ends of two lines.
const BESIDES: usize = 16;

/// Commands as they are sent, one behind the other.
#[derive(Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    commands: usize,
    /// How many arguments of the last command are still to come.
    missing: usize,
    /// Whether they are written even where the connection's runtime ends before their turn.
    outlive: bool,
    /// Whether each has an `ASKING` before it.
    asking: bool,
}

impl Packed {
    /// Commands that each have an `ASKING` before them, with a reply of its own.
    #[cfg(feature = "cluster")]
    pub(crate) fn asking() -> Self {
        Self { asking: true, ..Self::default() }
    }

    /// Makes room for so many parts that have so many bytes in all.
    pub(crate) fn reserve(&mut self, parts: usize, bytes: usize) {
        self.bytes.reserve(bytes + (parts + 1) * BESIDES);
    }

    /// Begins a command of so many parts, its name included.
    pub(crate) fn command(&mut self, parts: usize) -> &mut Self {
        debug_assert_eq!(self.missing, 0, "the command before has all its parts");
        if self.asking {
            self.commands += 1;
            self.bytes.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
        }
        self.commands += 1;
        self.missing = parts;
        length(&mut self.bytes, b'*', parts);
        self
    }

    /// Has all of them written also where the connection's runtime ends before it is their turn: nobody waits for them.
    pub(crate) const fn outlive(&mut self) {
        self.outlive = true;
    }

    /// The next part of the command.
    pub(crate) fn part(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        self.missing -= 1;
        string(&mut self.bytes, part.as_ref());
        self
    }

    /// The next part of the command, a number in decimal.
    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        let mut digits = [0; 20];
        let start = decimal(number, &mut digits);
        self.part(&digits[start..])
    }

    /// The next part of the command, a count in decimal.
    pub(crate) fn count(&mut self, count: impl TryInto<i64>) -> &mut Self {
        self.number(count.try_into().unwrap_or(i64::MAX))
    }

    /// How many commands there are, each with a reply of its own.
    pub(crate) const fn commands(&self) -> usize {
        self.commands
    }

    /// How many bytes they have.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether they are written even where the connection's runtime ends before their turn.
    pub(super) const fn outlives(&self) -> bool {
        self.outlive
    }

    /// The bytes, and how many commands they are.
    pub(super) fn into_parts(self) -> (Vec<u8>, usize) {
        debug_assert_eq!(self.missing, 0, "the last command has all its parts");
        (self.bytes, self.commands)
    }
}

/// Writes one string as it is sent.
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Writes a line that says how many bytes or parts follow.
pub(super) fn length(out: &mut Vec<u8>, kind: u8, length: usize) {
    // One copy: kind, at most 20 digits, the line's end.
    let mut line = [0; 23];
    line[21..].copy_from_slice(b"\r\n");
    let digits: &mut [u8; 20] = (&mut line[1..21]).try_into().expect("twenty bytes");
    let start = decimal(i64::try_from(length).unwrap_or(i64::MAX), digits);
    line[start] = kind;
    out.extend_from_slice(&line[start..]);
}

/// Writes a number to the end of `digits` and tells where it begins.
fn decimal(number: i64, digits: &mut [u8; 20]) -> usize {
    let (mut left, mut at) = (number.unsigned_abs(), digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    at
}

/// How far a reply was looked through.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the next element begins.
    at: usize,
    /// Up to where its first line has no end.
    searched: usize,
    /// How many bytes there must be before looking again makes sense.
    wanted: usize,
    /// How many elements are still to come.
    open: u64,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: 0, searched: 0, wanted: 1, open: 1 }
    }
}

impl Scan {
    /// Goes on looking through `bytes`, which begin where the reply does: its length once it is complete.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while self.open > 0 {
            if bytes.len() < self.wanted {
                return Ok(None);
            }
            let element = match element(bytes, self.at, &mut self.searched)? {
                Step::Whole(element) => element,
                Step::Wanting(length) => {
                    self.wanted = length;
                    return Ok(None);
                }
            };
            self.open += element.children;
            if !element.is_prefix {
                self.open -= 1;
            }
            self.at = element.end;
            self.wanted = element.end + 1;
            // `open` is at most a limit before and two of them after it.
            if self.open * SHORTEST + self.at as u64 > LONGEST {
                return Err(Malformed);
            }
        }
        Ok(Some(self.at))
    }

    /// How many bytes there must be at least before [`advance`](Self::advance) gets any further, going by what the server
    /// claims.
    pub(super) const fn wanted(&self) -> usize {
        self.wanted
    }
}

/// One element that is all there, but for the elements in it.
struct Element {
    kind: u8,
    /// What a string or a line holds.
    start: usize,
    stop: usize,
    /// Where what follows begins.
    end: usize,
    /// How many elements lie in it. They follow.
    children: u64,
    is_nil: bool,
    /// Whether it only says something about the element behind it.
    is_prefix: bool,
}

enum Step {
    Whole(Element),
    /// It is not complete. There must be at least so many bytes.
    Wanting(usize),
}

/// The element that begins at `at`, which must be within `bytes`.
fn element(bytes: &[u8], at: usize, searched: &mut usize) -> Result<Step, Malformed> {
    let kind = bytes[at];
    let Some(line) = line_end(bytes, at + 1, searched)? else { return Ok(Step::Wanting(bytes.len() + 1)) };
    let mut element = Element {
        kind,
        start: at + 1,
        stop: line,
        end: line + 2,
        children: 0,
        is_nil: kind == b'_',
        is_prefix: kind == b'|',
    };
    match kind {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
        b'$' | b'!' | b'=' => match claimed(&bytes[at + 1..line])? {
            None => element.is_nil = true,
            Some(length) => {
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                element.start = line + 2;
                element.stop = element.start + length;
                element.end = element.stop + 2;
                match bytes.get(element.stop..element.end) {
                    None => return Ok(Step::Wanting(element.end)),
                    Some(b"\r\n") => {}
                    Some(_) => return Err(Malformed),
                }
            }
        },
        b'*' | b'~' | b'>' => match claimed(&bytes[at + 1..line])? {
            None => element.is_nil = true,
            Some(length) => element.children = length,
        },
        b'%' | b'|' => element.children = claimed(&bytes[at + 1..line])?.ok_or(Malformed)? * 2,
        _ => return Err(Malformed),
    }
    Ok(Step::Whole(element))
}

/// Where the line that holds `from` ends.
fn line_end(bytes: &[u8], from: usize, searched: &mut usize) -> Result<Option<usize>, Malformed> {
    let start = from.max(*searched);
    let line = bytes.get(start..).unwrap_or_default();
    match line.iter().position(|byte| *byte == b'\r') {
        Some(at) if at + 1 < line.len() => {
            return if line[at + 1] == b'\n' { Ok(Some(start + at)) } else { Err(Malformed) };
        }
        Some(at) => *searched = start + at,
        None => *searched = bytes.len(),
    }
    if bytes.len() - from.min(bytes.len()) > LONGEST_LINE { Err(Malformed) } else { Ok(None) }
}

/// The length that a line claims; `None` where it says that there is nothing.
fn claimed(line: &[u8]) -> Result<Option<u64>, Malformed> {
    if line == b"-1" {
        return Ok(None);
    }
    if line.is_empty() || line.len() > 10 {
        return Err(Malformed);
    }
    let mut length = 0;
    for byte in line {
        if !byte.is_ascii_digit() {
            return Err(Malformed);
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    if length > LONGEST { Err(Malformed) } else { Ok(Some(length)) }
}

/// A reply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    /// A status such as `OK`, or a number that is no integer, as text.
    Status(Bytes),
    Bytes(Bytes),
    /// Also of sets, pushes, and maps as keys and values by turns.
    Array(Vec<Reply>),
    /// An error's line. It may quote keys.
    Error(Bytes),
}

impl Reply {
    /// Takes a whole reply apart. Its strings are parts of `frame`.
    pub(super) fn parse(frame: &Bytes) -> Result<Self, Malformed> {
        let mut at = 0;
        parse(frame, &mut at, DEEPEST)
    }
}

/// Whether this reply was not asked for.
pub(super) fn is_push(frame: &[u8]) -> bool {
    frame.first() == Some(&b'>')
}

fn parse(frame: &Bytes, at: &mut usize, depth: usize) -> Result<Reply, Malformed> {
    let element = next(frame, at, depth)?;
    let content = || frame.slice(element.start..element.stop);
    Ok(match element.kind {
        _ if element.is_nil => Reply::Nil,
        b':' => Reply::Int(integer(&frame[element.start..element.stop])?),
        b'#' => Reply::Int(i64::from(&frame[element.start..element.stop] == b"t")),
        b'-' | b'!' => Reply::Error(content()),
        b'$' => Reply::Bytes(content()),
        // Three letters of a format and a colon come first.
        b'=' => Reply::Bytes(if element.stop - element.start < 4 { content() } else { content().slice(4..) }),
        b'+' | b',' | b'(' => Reply::Status(content()),
        _ => {
            let depth = depth.checked_sub(1).ok_or(Malformed)?;
            let length = usize::try_from(element.children).map_err(|_| Malformed)?;
            // Each takes bytes that are there.
            let mut parts = Vec::with_capacity(length.min(frame.len() / 3));
            for _ in 0..length {
                parts.push(parse(frame, at, depth)?);
            }
            Reply::Array(parts)
        }
    })
}

/// The next element of a whole reply. What is only said about one is left out.
fn next(frame: &[u8], at: &mut usize, depth: usize) -> Result<Element, Malformed> {
    loop {
        if *at >= frame.len() {
            return Err(Malformed);
        }
        let Step::Whole(element) = element(frame, *at, &mut 0)? else { return Err(Malformed) };
        *at = element.end;
        if !element.is_prefix {
            return Ok(element);
        }
        let mut left = element.children;
        while left > 0 {
            let inner = next(frame, at, depth.checked_sub(1).ok_or(Malformed)?)?;
            left = left + inner.children - 1;
        }
    }
}

fn integer(line: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)
}

/// Where one string lies in a reply, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    stop: u32,
}

impl Span {
    const NONE: Self = Self { start: u32::MAX, stop: 0 };

    pub(super) fn range(self) -> Option<std::ops::Range<usize>> {
        (self != Self::NONE).then_some(self.start as usize..self.stop as usize)
    }
}

/// What an array of strings turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Strings {
    /// As many as were asked for; where they lie was appended.
    Found,
    /// The server's error, as a line.
    Refused(Bytes),
}

/// Finds the strings of a whole reply that must be an array of so many.
pub(super) fn strings(frame: &Bytes, count: usize, spans: &mut Vec<Span>) -> Result<Strings, Malformed> {
    let mut at = 0;
    let array = next(frame, &mut at, DEEPEST)?;
    match array.kind {
        b'-' | b'!' => return Ok(Strings::Refused(frame.slice(array.start..array.stop))),
        b'*' if !array.is_nil && array.children == count as u64 => {}
        _ => return Err(Malformed),
    }
    let place = |place: usize| u32::try_from(place).map_err(|_| Malformed);
    for _ in 0..count {
        let string = next(frame, &mut at, DEEPEST)?;
        spans.push(match string.kind {
            _ if string.is_nil => Span::NONE,
            b'$' => Span { start: place(string.start)?, stop: place(string.stop)? },
            _ => return Err(Malformed),
        });
    }
    Ok(Strings::Found)
}

// Values and keys may be secrets: only their lengths are shown.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Int(number) => write!(f, "Int({number})"),
            Self::Status(text) => write!(f, "Status({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Array(parts) => f.debug_list().entries(parts).finish(),
            Self::Error(line) => write!(f, "Error({} bytes)", line.len()),
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} commands, {} bytes)", self.commands, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All that is complete in these bytes, which come in pieces of the given length.
    fn replies(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, Malformed> {
        let (mut replies, mut start, mut scan) = (Vec::new(), 0, Scan::default());
        let mut come = 0;
        while come < bytes.len() {
            come = (come + piece).min(bytes.len());
            while let Some(length) = scan.advance(&bytes[start..come])? {
                replies.push(Reply::parse(&Bytes::copy_from_slice(&bytes[start..start + length]))?);
                start += length;
                scan = Scan::default();
            }
        }
        Ok(replies)
    }

    const MANY: &[u8] = b"+OK\r\n-ERR no such thing\r\n:-12\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*0\r\n*-1\r\n*2\r\n:1\r\n*2\r\n+a\r\n$1\r\nb\r\n\
        _\r\n#t\r\n#f\r\n,1.5\r\n(12345678901234567890\r\n!5\r\nERR x\r\n=6\r\ntxt:ab\r\n%1\r\n+k\r\n:1\r\n~1\r\n:1\r\n\
        >2\r\n+push\r\n_\r\n|1\r\n+ttl\r\n*1\r\n:3\r\n:5\r\n*1\r\n|1\r\n+a\r\n+b\r\n:6\r\n";

    #[test]
    fn every_kind_of_reply_is_read_however_it_is_cut() {
        let (text, int) = (|text: &'static str| Reply::Status(text.into()), Reply::Int);
        let bytes = |bytes: &'static str| Reply::Bytes(bytes.into());
        let error = |line: &'static str| Reply::Error(line.into());
        let array = Reply::Array;
        let whole = [
            text("OK"),
            error("ERR no such thing"),
            int(-12),
            Reply::Nil,
            bytes(""),
            bytes("a\r\nbc"),
            array(vec![]),
            Reply::Nil,
            array(vec![int(1), array(vec![text("a"), bytes("b")])]),
            Reply::Nil,
            int(1),
            int(0),
            text("1.5"),
            text("12345678901234567890"),
            error("ERR x"),
            bytes("ab"),
            array(vec![text("k"), int(1)]),
            array(vec![int(1)]),
            array(vec![text("push"), Reply::Nil]),
            int(5),
            array(vec![int(6)]),
        ];
        for piece in 1..=MANY.len() {
            assert_eq!(replies(MANY, piece).as_deref(), Ok(&whole[..]), "in pieces of {piece}");
        }
        for at in 0..MANY.len() {
            let _ = replies(&MANY[at..], 7);
        }
    }

    #[test]
    fn claims_that_nobody_could_keep_are_refused_at_once() {
        for claim in [
            "$1073741825\r\n",
            "*1073741824\r\n",
            "*500000000\r\n",
            "%400000000\r\n",
            "$-2\r\n",
            "$\r\n",
            "*1x\r\n",
            "?\r\n",
            "$1\r\nabc",
            "+a\rb",
            "*9999999999999999999999\r\n",
        ] {
            assert_eq!(Scan::default().advance(claim.as_bytes()), Err(Malformed), "{claim:?}");
        }
        assert_eq!(Scan::default().advance(&vec![b'+'; LONGEST_LINE + 10]), Err(Malformed));
        let mut scan = Scan::default();
        assert_eq!(scan.advance(b"$1000000\r\nabc"), Ok(None));
        assert_eq!(scan.wanted(), 10 + 1_000_000 + 2);
    }

    #[test]
    fn arrays_in_arrays_end_somewhere() {
        let deep = "*1\r\n".repeat(100_000) + ":1\r\n";
        assert_eq!(replies(deep.as_bytes(), deep.len()), Err(Malformed));
        let prefixes = "|1\r\n".repeat(50_000) + &"+a\r\n".repeat(100_001);
        assert_eq!(replies(prefixes.as_bytes(), prefixes.len()), Err(Malformed));
    }

    #[test]
    fn strings_are_found_where_they_lie() {
        let frame = Bytes::from_static(b"*3\r\n$1\r\na\r\n_\r\n$2\r\nbc\r\n");
        let mut spans = Vec::new();
        assert_eq!(strings(&frame, 3, &mut spans), Ok(Strings::Found));
        let found: Vec<_> = spans.iter().map(|span| span.range().map(|range| &frame[range])).collect();
        assert_eq!(found, [Some(&b"a"[..]), None, Some(b"bc")]);
        assert_eq!(strings(&frame, 2, &mut spans), Err(Malformed), "another number");
        assert_eq!(strings(&Bytes::from_static(b"*1\r\n:1\r\n"), 1, &mut spans), Err(Malformed));
        assert_eq!(
            strings(&Bytes::from_static(b"-NO\r\n"), 1, &mut spans),
            Ok(Strings::Refused("NO".into()))
        );
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, -1, i64::MAX, i64::MIN, 1_234_567_890] {
            let mut packed = Packed::default();
            packed.command(1).number(number);
            let (bytes, commands) = packed.into_parts();
            let text = number.to_string();
            assert_eq!((bytes, commands), (format!("*1\r\n${}\r\n{text}\r\n", text.len()).into_bytes(), 1));
        }
    }

    /// Bytes that look like replies more often than random ones do.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let marks = prop::sample::select(vec![
            "*", "$", "%", "|", ">", "+", "-", ":", "_", "1", "2", "-1", "\r\n", "\r", "\n", "ab", "=", "!",
        ]);
        prop::collection::vec(marks, 0..60).prop_map(|marks| marks.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_mean_the_same_and_nothing_panics(bytes in pieces(), piece in 1_usize..20) {
            prop_assert_eq!(replies(&bytes, piece), replies(&bytes, 1));
        }

        #[test]
        fn what_is_packed_is_what_is_read(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10)) {
            let mut packed = Packed::default();
            packed.command(parts.len());
            for part in &parts {
                packed.part(part);
            }
            let expected = Reply::Array(parts.into_iter().map(|part| Reply::Bytes(part.into())).collect());
            prop_assert_eq!(replies(&packed.into_parts().0, 3), Ok(vec![expected]));
        }
    }
}
