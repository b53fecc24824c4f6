//! Values that take parts of themselves from elsewhere, so that a configuration need not hold secrets.

use std::fmt;

const FILE: &str = "{file:";
const VARIABLE: &str = "{env:";

/// A text in which `{file:PATH}` and `{env:NAME}` stand for what is there. Any other brace is just a brace.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// A part of a [`Template`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Stands for itself.
    Text(String),
    /// What the file at this path holds, without white space at its end.
    File(String),
    /// The value of this environment variable.
    Variable(String),
}

impl Template {
    /// Reads a template; every text is one.
    pub(crate) fn parse(text: &str) -> Self {
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

    /// What it is made of, in order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether it names a file.
    pub(crate) fn reads_files(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::File(_)))
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

impl fmt::Debug for Template {
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
            assert_eq!(Template::parse(text).parts(), parts, "{text}");
        }
    }

    #[test]
    fn no_text_is_shown_for_debugging() {
        let shown = format!("{:?}", Template::parse("Basic secret {file:/run/token}"));
        assert_eq!(shown, "[***, {file:/run/token}]");
    }
}
