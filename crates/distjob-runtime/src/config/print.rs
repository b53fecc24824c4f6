//! The effective configuration as TOML, without its secrets.

use std::borrow::Cow;
use std::fmt::Write as _;

use figment::value::Value;
use serde::Serialize as _;
use toml_edit::{Key, ser::ValueSerializer};

use super::Loaded;
use super::check::as_table;
use super::layer::{EMBEDDED, place};
use super::recipe::Recipe;

const MASK: &str = "***";

impl<T> Loaded<T> {
    /// The effective configuration as TOML, passwords masked; each value that is no default says where it is from.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        // By table: what stands in one, however it is called, comes before the tables in it.
        let mut values: Vec<_> = self
            .values
            .iter()
            .map(|(key, value)| (key.rsplit_once('.').unwrap_or(("", key)), key, value))
            .collect();
        values.sort_by_key(|(parts, ..)| *parts);
        for ((table, name), key, value) in values {
            if table != current {
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{table}]");
                current = table;
            }
            let _ = write!(text, "{name} = {}", shown(key, value));
            let place = place(&self.layers, key);
            if place != EMBEDDED {
                let _ = write!(text, "  # {place}");
            }
            text.push('\n');
        }
        text
    }
}

/// The value of a key as TOML, without what nobody should read: a key called `secret` shows only where it takes its value
/// from, and if not all of it is elsewhere, nothing.
pub(super) fn shown(key: &str, value: &Value) -> String {
    let is_secret = key.rsplit('.').next() == Some("secret");
    match value.as_str() {
        Some(text) if is_secret && !Recipe::parse(text).is_all_elsewhere() => format!("\"{MASK}\""),
        _ => masked(value),
    }
}

/// The value as TOML with the passwords of the URLs in it masked, and in tables whatever has the name of a secret.
pub(super) fn masked(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml_edit::Value::from(mask_secrets(text).as_ref()).to_string(),
        Value::Array(_, items) => {
            let items: Vec<_> = items.iter().map(masked).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(_, table) if as_table(value).is_some() => {
            let item = |(name, value): (&String, &Value)| {
                let shown = if names_a_secret(name) {
                    format!("\"{MASK}\"")
                } else {
                    masked(value)
                };
                format!("{} = {shown}", Key::new(name))
            };
            match table.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", table.iter().map(item).collect::<Vec<_>>().join(", ")),
            }
        }
        other => other
            .serialize(ValueSerializer::new())
            .map_or_else(|error| error.to_string(), |value| value.to_string()),
    }
}

/// Whether a variable or a header of this name is likely to hold what nobody should read in a log. Rather one too many
/// than one too few.
fn names_a_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["auth", "cookie", "credential", "key", "pass", "secret", "token"]
        .iter()
        .any(|word| name.contains(word))
}

/// The name before a secret in a query: `pass` of `pass=secret`.
fn secret_in(pair: &str) -> Option<&str> {
    let (name, _) = pair.split_once('=')?;
    names_a_secret(name).then_some(name)
}

/// The text with the password of a URL replaced by `***`, in the authority (`redis://user:secret@host`), and secrets of
/// any kind in the query (`unix:///socket?pass=secret`, `https://host/path?token=secret`). Texts without one are returned as they are.
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
        Some((place, query)) if query.split('&').any(|pair| secret_in(pair).is_some()) => {
            let query: Vec<_> = query
                .split('&')
                .map(|pair| secret_in(pair).map_or(pair.to_owned(), |name| format!("{name}={MASK}")))
                .collect();
            Cow::Owned(format!("{scheme}://{place}?{}", query.join("&")))
        }
        _ if matches!(rest, Cow::Borrowed(_)) => Cow::Borrowed(text),
        _ => Cow::Owned(format!("{scheme}://{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_only_by_where_it_is_taken_from() {
        for (key, text, expected) in [
            ("sink.webhook.secret", "s3cret", "\"***\""),
            ("sink.webhook.secret", "", "\"\""),
            (
                "sink.webhook.secret",
                "{file:/run/secret}",
                "\"{file:/run/secret}\"",
            ),
            ("sink.webhook.secret", "x{file:/run/secret}", "\"***\""),
            ("sink.webhook.url", "http://h/", "\"http://h/\""),
        ] {
            assert_eq!(shown(key, &Value::from(text)), expected, "{key} {text}");
        }
    }
}
