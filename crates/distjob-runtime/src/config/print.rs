//! The effective configuration as TOML, without its secrets.

use std::borrow::Cow;
use std::fmt::Write as _;

use toml::Value;

use super::{Loaded, Origin};

const MASK: &str = "***";

impl<T> Loaded<T> {
    /// The effective configuration as TOML, passwords masked; each value that is no default says where it is from.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for (key, (value, origin)) in &self.values {
            let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
            if table != current {
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{table}]");
                current = table;
            }
            let _ = write!(text, "{name} = {}", masked(value));
            if *origin != Origin::Embedded {
                let _ = write!(text, "  # {origin}");
            }
            text.push('\n');
        }
        text
    }
}

/// The value as TOML with the passwords of the URLs in it masked.
pub(super) fn masked(value: &Value) -> String {
    match value {
        Value::String(text) => Value::String(mask_secrets(text).into_owned()).to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(masked).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// The text with the password of a URL replaced by `***`, in the authority (`redis://user:secret@host`) and in the
/// query (`unix:///socket?pass=secret`). Texts without one are returned as they are.
#[must_use]
pub fn mask_secrets(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Cow::Borrowed(text);
    };
    // A password may hold anything, also unescaped slashes and at signs: what counts is the last one.
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => Cow::Owned(format!("{user}:{MASK}@{host}")),
            None => Cow::Borrowed(rest),
        },
        None => Cow::Borrowed(rest),
    };
    match rest.split_once('?') {
        Some((place, query)) if query.contains("pass=") => {
            let query: Vec<_> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some(("pass", _)) => format!("pass={MASK}"),
                    _ => pair.to_owned(),
                })
                .collect();
            Cow::Owned(format!("{scheme}://{place}?{}", query.join("&")))
        }
        _ if matches!(rest, Cow::Borrowed(_)) => Cow::Borrowed(text),
        _ => Cow::Owned(format!("{scheme}://{rest}")),
    }
}
