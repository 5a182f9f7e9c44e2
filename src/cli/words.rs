//! Headings and labels in English and Chinese, each pair in one place. Options, column names and ids stay as they are.

use super::args::Language;

/// Declares the words once: a name, its English and its Chinese text.
macro_rules! words {
    ($($name:ident $english:literal $chinese:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $($name),* }

        const TEXTS: &[(Word, &str, &str)] = &[$((Word::$name, $english, $chinese)),*];
    };
}

words! {
    Error "error" "错误"
    Hint "hint" "提示"
    Warning "warning" "警告"
}

/// The text of `word`. The table stands in the order of the enum, so the position is the word.
pub fn text(word: Word, language: Language) -> &'static str {
    match (TEXTS.get(word as usize), language) {
        (Some((_, english, _)), Language::En) => english,
        (Some((_, _, chinese)), Language::Zh) => chinese,
        (None, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_both_texts() {
        for (position, (word, english, chinese)) in TEXTS.iter().enumerate() {
            assert_eq!(*word as usize, position);
            assert!(english.is_ascii() && !english.is_empty(), "{word:?}");
            assert!(!chinese.is_ascii(), "{word:?}");
        }
    }
}
