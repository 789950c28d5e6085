//! Where a reply of the protocol ends, and replies that change places.

/// Takes the replies that are there as a whole; where they are to be swapped, those next to each other in turn, or the elements of each
/// that has several. Tells how many changed places.
pub(super) fn take(partial: &mut Vec<u8>, swap: bool) -> (Vec<u8>, u64) {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(length) = reply(&partial[at..]) {
        at += length;
        ends.push(at);
    }
    let whole: Vec<u8> = partial.drain(..at).collect();
    if !swap {
        return (whole, 0);
    }
    let mut begin = 0;
    let mut parts: Vec<&[u8]> = Vec::new();
    for end in ends {
        parts.push(&whole[begin..end]);
        begin = end;
    }
    let mut swapped = 0;
    // What is pushed is no reply, and stays where it is.
    let (answers, mut places): (Vec<usize>, Vec<&[u8]>) =
        ((0..parts.len()).filter(|at| !parts[*at].starts_with(b">")).collect(), parts.clone());
    for pair in answers.chunks_exact(2) {
        places.swap(pair[0], pair[1]);
        swapped += 1;
    }
    if let ([only], true) = (&answers[..], swapped == 0) {
        let turned = turned(parts[*only]);
        swapped += u64::from(turned.is_some());
        let turned = turned.unwrap_or_else(|| parts[*only].to_vec());
        places[*only] = &turned;
        return (places.concat(), swapped);
    }
    (places.concat(), swapped)
}

/// An array with its first two elements in each other's place.
fn turned(array: &[u8]) -> Option<Vec<u8>> {
    let (count, begin) = number(array).filter(|_| array.starts_with(b"*"))?;
    if count < 2 {
        return None;
    }
    let first = begin + reply(&array[begin..])?;
    let second = first + reply(&array[first..])?;
    Some([&array[..begin], &array[first..second], &array[begin..first], &array[second..]].concat())
}

/// How long the first reply is; `None` where not all of it is there.
fn reply(bytes: &[u8]) -> Option<usize> {
    let kind = *bytes.first()?;
    let (count, mut at) = match kind {
        b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|' => number(bytes)?,
        _ => return line(bytes),
    };
    let Ok(count) = usize::try_from(count) else { return Some(at) };
    let parts = match kind {
        b'$' | b'=' | b'!' => {
            let end = at + count + 2;
            return (end <= bytes.len()).then_some(end);
        }
        b'%' => 2 * count,
        b'|' => 2 * count + 1,
        _ => count,
    };
    for _ in 0..parts {
        at += reply(&bytes[at..])?;
    }
    Some(at)
}

fn line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|two| two == b"\r\n").map(|end| end + 2)
}

/// The number in the first line, and where the next one begins.
fn number(bytes: &[u8]) -> Option<(i64, usize)> {
    let end = line(bytes)?;
    let number = std::str::from_utf8(&bytes[1..end - 2]).ok()?.parse().ok()?;
    Some((number, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swapped(bytes: &str) -> (String, u64) {
        let (passed, swapped) = take(&mut bytes.as_bytes().to_vec(), true);
        (String::from_utf8(passed).expect("text"), swapped)
    }

    #[test]
    fn replies_that_come_together_change_places_and_what_is_pushed_does_not() {
        assert_eq!(swapped("+a\r\n$1\r\nb\r\n"), ("$1\r\nb\r\n+a\r\n".to_owned(), 1));
        assert_eq!(swapped("+a\r\n>1\r\n+x\r\n:2\r\n"), (":2\r\n>1\r\n+x\r\n+a\r\n".to_owned(), 1));
        assert_eq!(swapped("*2\r\n$1\r\na\r\n$-1\r\n"), ("*2\r\n$-1\r\n$1\r\na\r\n".to_owned(), 1));
        assert_eq!(swapped("+a\r\n"), ("+a\r\n".to_owned(), 0));
    }

    #[test]
    fn what_is_not_there_as_a_whole_waits_for_the_rest() {
        let bytes = b"*2\r\n%1\r\n+k\r\n$3\r\nabc\r\n_\r\n";
        for length in 0..bytes.len() {
            let mut partial = bytes[..length].to_vec();
            assert_eq!(take(&mut partial, false), (vec![], 0));
            partial.extend_from_slice(&bytes[length..]);
            assert_eq!(take(&mut partial, false), (bytes.to_vec(), 0));
        }
    }
}
