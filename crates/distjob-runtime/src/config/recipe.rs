//! Values that take parts of themselves from elsewhere, so that a configuration need not hold secrets.

use std::{env, fmt, fs, io};

use thiserror::Error;

const FILE: &str = "{file:";
const VARIABLE: &str = "{env:";

/// A text in which `{file:PATH}` and `{env:NAME}` stand for what is there. Any other brace is just a brace.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipe(Vec<Part>);

/// A part of a [`Recipe`].
#[derive(Clone, PartialEq, Eq)]
enum Part {
    /// Stands for itself.
    Text(String),
    /// What the file at this path holds, without white space at its end.
    File(String),
    /// The value of this environment variable.
    Variable(String),
}

/// What a [`Recipe`] names and is not to be had. Fits after "names"; never tells a value.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// A variable that is not set, or is no text.
    #[error("the variable {0}, which is not set")]
    Variable(String),
    /// A file that cannot be read.
    #[error("the file {path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl Recipe {
    /// Reads a recipe; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, part, after)) = next_reference(rest) {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Self(parts)
    }

    /// Whether it names a file, which may change.
    #[must_use]
    pub fn reads_files(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::File(_)))
    }

    /// Whether nothing of it stands in the recipe itself: it may be shown to anybody.
    #[must_use]
    pub fn is_all_elsewhere(&self) -> bool {
        !self.0.iter().any(|part| matches!(part, Part::Text(_)))
    }

    /// The value as it is now: files are read while the caller waits.
    ///
    /// # Errors
    /// When something that it names is not there.
    pub fn bytes(&self) -> Result<Vec<u8>, RecipeError> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => bytes.extend(text.as_bytes()),
                Part::Variable(name) => {
                    let value = env::var(name).map_err(|_| RecipeError::Variable(name.clone()))?;
                    bytes.extend(value.as_bytes());
                }
                Part::File(path) => {
                    let text = fs::read(path).map_err(|error| RecipeError::File {
                        path: path.clone(),
                        error,
                    })?;
                    // Editors and shells end files with a line break.
                    bytes.extend(text.trim_ascii_end());
                }
            }
        }
        Ok(bytes)
    }

    /// The same as text.
    ///
    /// # Errors
    /// Also when a file is no text.
    pub fn text(&self) -> Result<String, RecipeError> {
        String::from_utf8(self.bytes()?).map_err(|error| {
            let path = self.0.iter().find_map(|part| match part {
                Part::File(path) => Some(path.clone()),
                _ => None,
            });
            RecipeError::File {
                path: path.unwrap_or_default(),
                error: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
            }
        })
    }
}

/// The text before the first reference, the reference, and the text after it.
fn next_reference(text: &str) -> Option<(&str, Part, &str)> {
    let find = |open: &'static str| text.find(open).map(|at| (at, open));
    let (at, open) = [find(FILE), find(VARIABLE)].into_iter().flatten().min()?;
    let (name, after) = text[at + open.len()..].split_once('}')?;
    let part = if open == FILE { Part::File } else { Part::Variable };
    Some((&text[..at], part(name.to_owned()), after))
}

/// Texts may be secrets.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::File(path) => write!(f, "{{file:{path}}}"),
            Self::Variable(name) => write!(f, "{{env:{name}}}"),
        }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        use Part::{File, Text, Variable};
        let cases: [(&str, Vec<Part>); 5] = [
            ("", vec![]),
            ("{\"a\": 1}", vec![Text("{\"a\": 1}".into())]),
            (
                "Bearer {file:/run/token}",
                vec![Text("Bearer ".into()), File("/run/token".into())],
            ),
            (
                "{env:A}:{env:B}.",
                vec![
                    Variable("A".into()),
                    Text(":".into()),
                    Variable("B".into()),
                    Text(".".into()),
                ],
            ),
            ("{file:open", vec![Text("{file:open".into())]),
        ];
        for (text, parts) in cases {
            assert_eq!(Recipe::parse(text).0, parts, "{text}");
        }
    }

    #[test]
    fn no_text_is_shown_for_debugging() {
        let shown = format!("{:?}", Recipe::parse("Basic secret {file:/run/token}"));
        assert_eq!(shown, "[***, {file:/run/token}]");
    }

    #[test]
    fn what_a_file_holds_stands_in_its_place_without_the_line_break_at_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret \n").unwrap();
        let recipe = Recipe::parse(&format!("Bearer {{file:{}}}!", file.path().display()));
        assert_eq!(recipe.text().unwrap(), "Bearer s3cret!");
        assert!(recipe.reads_files() && !recipe.is_all_elsewhere());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = |text: &str| Recipe::parse(text).text().unwrap_err().to_string();
        assert_eq!(
            missing("{env:DISTJOB_NOT_SET}"),
            "the variable DISTJOB_NOT_SET, which is not set"
        );
        assert!(missing("{file:/not/there}").starts_with("the file /not/there: "));
    }
}
