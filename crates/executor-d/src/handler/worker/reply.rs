//! Reads a reply: one line of JSON, from a program that may write anything.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::handler::{Failure, Retry};

/// How much of a line that is no reply is shown.
const SHOWN_CHARS: usize = 120;

/// What a worker says of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Which request is answered. May be left out when there is only one that it can be.
    pub(super) id: Option<u64>,
    /// The task's value, or why there is none.
    pub(super) said: Result<Vec<u8>, Failure>,
}

/// A line that is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Garbage {
    /// The request that it names nevertheless.
    pub(super) id: Option<u64>,
    /// What is wrong with it, and how it begins.
    pub(super) why: String,
}

impl Garbage {
    /// A line that is a reply, but to nothing.
    pub(super) fn new(why: &str) -> Self {
        Self {
            id: None,
            why: why.to_owned(),
        }
    }
}

/// The fields of the line. `null` is as good as none; fields that nobody knows are for later versions.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, rename = "final")]
    is_final: Option<&'a RawValue>,
    #[serde(borrow)]
    retry_after_ms: Option<&'a RawValue>,
}

impl Reply {
    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// When it is none of what [`super`] describes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Garbage> {
        let garbage = |id, what: Cow<'_, str>| Garbage {
            id,
            why: format!("{what}: {}", shown(bytes)),
        };
        let line: Line<'_> = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| garbage(None, "not one JSON object".into()))?;
        let id = field(line.id, "id", "is no request's number").map_err(|why| garbage(None, why))?;
        let said = line.said().map_err(|why| garbage(id, why))?;
        Ok(Self { id, said })
    }
}

impl Line<'_> {
    fn said(&self) -> Result<Result<Vec<u8>, Failure>, Cow<'static, str>> {
        match (self.value, self.value_base64, self.error) {
            (Some(value), None, None) => Ok(Ok(text(value, "value")?.into_bytes())),
            (None, Some(value), None) => {
                let text =
                    field::<Cow<'_, str>>(Some(value), "value_base64", "is no string")?.unwrap_or_default();
                let bytes = STANDARD.decode(text.as_bytes());
                bytes.map(Ok).map_err(|_| "value_base64 is no base64".into())
            }
            (None, None, Some(error)) => Ok(Err(Failure::new(text(error, "error")?).retry(self.retry()?))),
            _ => Err("not exactly one of value, value_base64 and error".into()),
        }
    }

    fn retry(&self) -> Result<Retry, Cow<'static, str>> {
        let is_final = field(self.is_final, "final", "is neither true nor false")?;
        let after_ms = field(
            self.retry_after_ms,
            "retry_after_ms",
            "is no whole number of milliseconds",
        )?;
        Ok(match (is_final, after_ms) {
            (Some(true), _) => Retry::Never,
            (_, Some(ms)) => Retry::After(Duration::from_millis(ms)),
            (_, None) => Retry::Policy,
        })
    }
}

/// A field of one type, if it is there.
fn field<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &str,
    is_wrong: &str,
) -> Result<Option<T>, Cow<'static, str>> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|_| format!("{name} {is_wrong}").into())
}

/// What a string says; of anything else, its JSON as it stands there.
fn text(raw: &RawValue, name: &str) -> Result<String, Cow<'static, str>> {
    if !raw.get().starts_with('"') {
        return Ok(raw.get().to_owned());
    }
    // Half a surrogate pair is JSON, but no text.
    Ok(field(Some(raw), name, "is no Unicode text")?.unwrap_or_default())
}

/// How a line begins, on one line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(SHOWN_CHARS).map(visible).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value(id: Option<u64>, bytes: &[u8]) -> Result<Reply, Garbage> {
        let said = Ok(bytes.to_vec());
        Ok(Reply { id, said })
    }

    fn garbage(line: &str) -> (Option<u64>, String) {
        let Garbage { id, why } = Reply::read(line.as_bytes()).unwrap_err();
        (id, why)
    }

    fn failure(line: &str) -> (String, Retry) {
        let failure = Reply::read(line.as_bytes()).unwrap().said.unwrap_err();
        (failure.message.into_owned(), failure.retry)
    }

    #[test]
    fn a_value_is_a_string_or_base64_or_any_json_as_it_stands() {
        for (line, expected) in [
            (r#"{"id":7,"value":"h\u00e9\n"}"#, "hé\n".as_bytes()),
            (r#" {"value_base64":"/wA=","id":7,"new":[]} "#, b"\xff\0"),
            (r#"{"id":7,"value":1.50,"error":null}"#, b"1.50"),
            (r#"{"id":7,"value":{"b": 1, "a":2}}"#, br#"{"b": 1, "a":2}"#),
            (r#"{"id":7,"value":""}"#, b""),
        ] {
            assert_eq!(Reply::read(line.as_bytes()), value(Some(7), expected), "{line}");
        }
        assert_eq!(Reply::read(br#"{"value":"x"}"#), value(None, b"x"));
    }

    #[test]
    fn an_error_says_whether_and_when_it_is_tried_again() {
        for (line, message, retry) in [
            (
                r#"{"id":1,"error":"no such file"}"#,
                "no such file",
                Retry::Policy,
            ),
            (
                r#"{"id":1,"error":"bad","final":true,"retry_after_ms":5}"#,
                "bad",
                Retry::Never,
            ),
            (
                r#"{"error":{"code":5},"retry_after_ms":1500,"final":false}"#,
                r#"{"code":5}"#,
                Retry::After(Duration::from_millis(1500)),
            ),
        ] {
            assert_eq!(failure(line), (message.to_owned(), retry), "{line}");
        }
    }

    #[test]
    fn what_is_no_reply_says_why_and_names_its_request_where_it_can() {
        for (line, id, why) in [
            ("Loading…", None, "not one JSON object: Loading…"),
            ("", None, "not one JSON object: "),
            (
                "{\"id\":1,\"value\":\"a\"",
                None,
                "not one JSON object: {\"id\":1,\"value\":\"a\"",
            ),
            ("{\"id\":1,\"id\":2,\"value\":0}", None, "not one JSON object"),
            ("[1]", None, "not one JSON object"),
            ("{\"id\":\"1\",\"value\":0}", None, "id is no request's number"),
            ("{\"id\":-1,\"value\":0}", None, "id is no request's number"),
            (
                "{\"id\":1}",
                Some(1),
                "not exactly one of value, value_base64 and error",
            ),
            (
                "{\"id\":1,\"value\":0,\"error\":0}",
                Some(1),
                "not exactly one of",
            ),
            (
                "{\"id\":1,\"value\":\"\\ud800\"}",
                Some(1),
                "value is no Unicode text",
            ),
            (
                "{\"id\":1,\"value_base64\":\"?\"}",
                Some(1),
                "value_base64 is no base64",
            ),
            (
                "{\"id\":1,\"value_base64\":5}",
                Some(1),
                "value_base64 is no string",
            ),
            (
                "{\"id\":1,\"error\":\"\",\"final\":1}",
                Some(1),
                "final is neither true nor false",
            ),
            (
                "{\"id\":1,\"error\":\"\",\"retry_after_ms\":-1}",
                Some(1),
                "retry_after_ms is no whole",
            ),
        ] {
            let (named, said) = garbage(line);
            assert_eq!(named, id, "{line}");
            assert!(said.starts_with(why), "{line}: {said}");
        }
        assert_eq!(
            Reply::read(b"\x00a\xff\x1b[0m\t").unwrap_err().why,
            "not one JSON object: \u{fffd}a\u{fffd}\u{fffd}[0m\u{fffd}"
        );
        let nested = "[".repeat(100_000);
        let (id, why) = garbage(&format!("{{\"id\":1,\"value\":{nested}"));
        assert_eq!((id, why.chars().count()), (None, 21 + SHOWN_CHARS + 1));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(id: Option<u64>, bytes: Vec<u8>, text: String) {
            let line = json!({ "id": id, "value_base64": STANDARD.encode(&bytes) });
            prop_assert_eq!(Reply::read(line.to_string().as_bytes()), value(id, &bytes));
            let line = json!({ "id": id, "value": text });
            prop_assert_eq!(Reply::read(line.to_string().as_bytes()), value(id, text.as_bytes()));
        }

        #[test]
        fn no_line_does_harm(bytes: Vec<u8>, cut: prop::sample::Index) {
            let _ = Reply::read(&bytes);
            let line = r#"{"id":12,"value":[{"a":"\u00e9\\"}],"final":true,"retry_after_ms":100}"#;
            let cut = cut.index(line.len());
            // No beginning of a reply is a reply.
            prop_assert!(Reply::read(&line.as_bytes()[..cut]).is_err());
        }
    }
}
