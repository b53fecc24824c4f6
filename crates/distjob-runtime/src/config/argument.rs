//! The words of a command line, with places that are filled for each use.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    marker::PhantomData,
};

use serde::{Deserialize, Serialize};

/// What may stand in braces in an [`Argument`].
pub trait Placeholder: Copy + PartialEq + fmt::Debug + 'static {
    /// All of them, at least two.
    const ALL: &'static [Self];

    /// The word in the braces.
    fn as_str(self) -> &'static str;
}

/// One piece of an [`Argument`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<P> {
    /// As it stands.
    Text(String),
    /// Filled for each task.
    Place(P),
}

/// One argument of a program, with its placeholders parsed. A known word in braces is a placeholder, any other word in
/// braces is refused, for it is likely to be a slip; `{{word}}` stands for the word in braces, whichever it is. All other
/// braces are text, so that JSON needs no care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "P: Placeholder")]
pub struct Argument<P>(Vec<Piece<P>>);

/// A word in braces that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{argument}\" has the unknown placeholder {{{word}}}; there are {}, and {{{{{word}}}}} stands for the word in braces",
    words::<P>()
)]
pub struct UnknownPlaceholder<P: Placeholder> {
    argument: String,
    word: String,
    places: PhantomData<P>,
}

/// `{task}, {job} and {index}`.
fn words<P: Placeholder>() -> String {
    let words: Vec<String> = P::ALL
        .iter()
        .map(|place| format!("{{{}}}", place.as_str()))
        .collect();
    match words.split_last() {
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

impl<P: Placeholder> Argument<P> {
    /// The pieces in their order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece<P>] {
        &self.0
    }

    /// Whether `place` occurs.
    #[must_use]
    pub fn has(&self, place: P) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    /// The text, when there is no placeholder in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The argument with every placeholder replaced by what `fill` gives for it.
    pub fn fill<'a>(&'a self, mut fill: impl FnMut(P) -> Cow<'a, [u8]>) -> Vec<u8> {
        let mut filled = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Piece::Place(place) => filled.extend_from_slice(&fill(*place)),
            }
        }
        filled
    }
}

impl<P: Placeholder> TryFrom<String> for Argument<P> {
    type Error = UnknownPlaceholder<P>;

    fn try_from(argument: String) -> Result<Self, UnknownPlaceholder<P>> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = argument.as_str();
        while let Some(c) = rest.chars().next() {
            if let Some((word, after)) = escaped(rest) {
                text.push_str(&format!("{{{word}}}"));
                rest = after;
            } else if let Some((word, after)) = braced(rest) {
                let place = P::ALL.iter().copied().find(|place| place.as_str() == word);
                let Some(place) = place else {
                    let word = word.to_owned();
                    return Err(UnknownPlaceholder {
                        argument,
                        word,
                        places: PhantomData,
                    });
                };
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Place(place));
                rest = after;
            } else {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }
}

/// The word in double braces that `text` begins with, and what follows.
fn escaped(text: &str) -> Option<(&str, &str)> {
    let (word, after) = braced(text.strip_prefix('{')?)?;
    Some((word, after.strip_prefix('}')?))
}

/// The word in braces that `text` begins with, and what follows. JSON and the like in braces is none.
fn braced(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_word = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_word.then_some((word, after))
}

impl<P: Placeholder> fmt::Display for Argument<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => write_escaped(text, f),
            Piece::Place(place) => write!(f, "{{{}}}", place.as_str()),
        })
    }
}

fn write_escaped(mut text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    while let Some(c) = text.chars().next() {
        if let Some((word, after)) = braced(text) {
            write!(f, "{{{{{word}}}}}")?;
            text = after;
        } else {
            f.write_char(c)?;
            text = &text[c.len_utf8()..];
        }
    }
    Ok(())
}

impl<P: Placeholder> From<Argument<P>> for String {
    fn from(argument: Argument<P>) -> Self {
        argument.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Word {
        Task,
        Job,
        Index,
        Attempt,
        Queue,
        Key,
    }

    impl Placeholder for Word {
        const ALL: &'static [Self] = &[
            Self::Task,
            Self::Job,
            Self::Index,
            Self::Attempt,
            Self::Queue,
            Self::Key,
        ];

        fn as_str(self) -> &'static str {
            match self {
                Self::Task => "task",
                Self::Job => "job",
                Self::Index => "index",
                Self::Attempt => "attempt",
                Self::Queue => "queue",
                Self::Key => "key",
            }
        }
    }

    type Argument = super::Argument<Word>;

    fn argument(text: &str) -> Argument {
        Argument::try_from(text.to_owned()).unwrap()
    }

    fn filled(text: &str) -> String {
        let filled = argument(text).fill(|place| Cow::Owned(place.as_str().to_uppercase().into_bytes()));
        String::from_utf8(filled).unwrap()
    }

    #[test]
    fn places_are_filled_and_all_else_stays() {
        for (text, expected) in [
            ("{task}", "TASK"),
            ("--job={job}/{index}#{attempt}", "--job=JOB/INDEX#ATTEMPT"),
            ("{queue}{key}", "QUEUEKEY"),
            ("{{task}}", "{task}"),
            ("{{{task}}}", "{{task}}"),
            ("{\"a\": {\"b\": {task}}} {{", "{\"a\": {\"b\": TASK}} {{"),
            ("{{.Names}} {}", "{{.Names}} {}"),
            ("", ""),
            ("ä{task}ö", "äTASKö"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
        assert_eq!(argument("a{{b}}").literal(), Some("a{b}"));
        assert_eq!(argument("").literal(), Some(""));
        assert!(argument("{task}").literal().is_none() && argument("x{task}").has(Word::Task));
    }

    #[test]
    fn a_word_in_braces_that_is_no_placeholder_is_refused() {
        let error = Argument::try_from("--x={typo}".to_owned())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "\"--x={typo}\" has the unknown placeholder {typo}; there are {task}, {job}, {index}, {attempt}, {queue} and \
             {key}, and {{typo}} stands for the word in braces"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "[{}a\"]{0,4}(\\{task\\})?[{}a]{0,4}(\\{key\\})?[{}]{0,3}") {
            if let Ok(argument) = Argument::try_from(text) {
                prop_assert_eq!(Argument::try_from(argument.to_string()).unwrap(), argument);
            }
        }
    }
}
