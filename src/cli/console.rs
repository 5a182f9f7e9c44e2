//! Where text leaves the program. stdout carries data, stderr the rest; control characters of file and column names
//! are shown escaped, so that a name cannot drive the user's terminal; a closed pipe is no error.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::args::Language;
use super::words::{self, Word};

pub struct Console {
    json: bool,
    quiet: bool,
    language: Language,
    /// Why data did not reach stdout.
    unwritten: Mutex<Option<io::Error>>,
}

impl Console {
    pub fn new(json: bool, quiet: bool, language: Language) -> Self {
        Self { json, quiet, language, unwritten: Mutex::default() }
    }

    /// Whether the report is wanted as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    pub fn quiet(&self) -> bool {
        self.quiet
    }

    pub fn is_chinese(&self) -> bool {
        self.language == Language::Zh
    }

    /// A word of ours in the user's language.
    pub fn word(&self, word: Word) -> &'static str {
        words::text(word, self.language)
    }

    /// Data, as text that ends its lines itself. Whoever closed the pipe has seen enough: that is not an error.
    pub fn data(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(shown(text).as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            _ => {}
        }
    }

    /// What kept data from reaching stdout, a full disk behind a redirection for instance.
    pub fn unwritten(&self) -> Option<io::Error> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Data, as one JSON document. serde_json escapes control characters itself.
    pub fn data_json(&self, report: &impl Serialize) {
        if let Ok(mut text) = serde_json::to_string_pretty(report) {
            text.push('\n');
            self.data(&text);
        }
    }

    /// Something to know that is not data.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{}", shown(text));
        }
    }

    pub fn warning(&self, text: &str) {
        self.note(&format!("{}: {text}", self.word(Word::Warning)));
    }

    /// An error with its causes, and what to do about it.
    pub fn error(&self, error: &dyn Error, hint: Option<String>) {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            // Some errors already spell out their cause.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{}: {}", self.word(Word::Error), shown(&message));
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "{}: {}", self.word(Word::Hint), shown(&hint));
        }
    }
}

/// `text` with control characters, and characters that reorder their line, escaped; line ends stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            _ if !is_unsafe(character) => escaped.push(character),
            '\0'..='\u{ff}' => escaped.push_str(&format!("\\x{:02x}", character as u32)),
            _ => escaped.extend(character.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

fn is_unsafe(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (character.is_control() && character != '\n') || reorders
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\u{7}\u{9b}c\r"), "a\\x1b[2Jb\\x07\\x9bc\\x0d");
        assert_eq!(shown("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(shown("温度 °C\nnext"), "温度 °C\nnext");
    }
}
