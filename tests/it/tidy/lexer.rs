//! Rust text reduced to its code: comments and the insides of literals become spaces, line ends stay.

/// `source` without comments and literals.
pub fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => until(bytes, at, |rest| rest.starts_with(b"\n")),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' if !joined(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Whether the byte at `at` continues a word: the r of `for` opens no raw string. A byte string's `br` does.
fn joined(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b'
}

fn until(bytes: &[u8], from: usize, found: impl Fn(&[u8]) -> bool) -> usize {
    (from..bytes.len()).find(|&at| found(&bytes[at..])).unwrap_or(bytes.len())
}

/// Block comments nest.
fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then(|| {
        let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        (until(bytes, at + 2 + hashes, |rest| rest.starts_with(&closing)) + closing.len()).min(bytes.len())
    })
}

/// A character literal, not a lifetime: one character, or an escape, and a closing quote.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        return Some((until(bytes, at + 3, |rest| rest.starts_with(b"'")) + 1).min(bytes.len()));
    }
    (at + 2..(at + 6).min(bytes.len()))
        .find(|&end| bytes[end] == b'\'' && one_character(&bytes[at + 1..end]))
        .map(|end| end + 1)
}

fn one_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

#[test]
fn comments_and_literals_vanish() {
    let source = "a /* x /* y */ z */ b \"q\\\"crate::\" 'c' '\\'' r#\"t\"u\"# for<'a> // end\nd br\"e\" 'é' f";
    let code = code_of(source);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "for<'a>", "d", "b", "f"]);
    assert_eq!(code.lines().count(), 2);
}
