//! One task as one line of JSON.
//!
//! ```text
//! {"index":0,"task":"17","outcome":"ok","value":"true"}
//! {"index":1,"task":"x","outcome":"err","error":"not a number"}
//! {"index":2,"task_base64":"/w==","outcome":"ok","value":"false"}
//! {"index":3,"task":"y","outcome":"err","error":"exited with status 1","attempts":3,"duration_ms":12.3,"stderr":"no y here\n"}
//! ```
//!
//! `attempts` and `duration_ms` (of the last attempt) stand there where the handler kept count, `stderr` (its end) where a
//! failed task wrote to it.
//!
//! Bytes that are UTF-8 are a JSON string; others are base64 (standard alphabet, padded) under the field's name with
//! `_base64` behind it. So each field has exactly one of two names, and every payload comes back byte for byte.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use distjob_core::{Account, Outcome, watcher::Row};

/// Appends the line of `row`, with its newline.
pub(crate) fn push_line(buffer: &mut Vec<u8>, row: &Row<'_>) {
    // Writing to memory cannot fail.
    let _ = write!(buffer, "{{\"index\":{}", row.index);
    push_field(buffer, "task", row.task);
    match row.outcome {
        Outcome::Ok(value) => {
            buffer.extend_from_slice(b",\"outcome\":\"ok\"");
            push_field(buffer, "value", value);
        }
        Outcome::Err(error) => {
            buffer.extend_from_slice(b",\"outcome\":\"err\"");
            push_field(buffer, "error", error);
        }
    }
    if let Some(Account { attempts, elapsed }) = row.account {
        let ms = elapsed.as_secs_f64() * 1e3;
        let _ = write!(buffer, ",\"attempts\":{attempts},\"duration_ms\":{ms:.3}");
    }
    if !row.stderr.is_empty() {
        push_field(buffer, "stderr", row.stderr);
    }
    buffer.extend_from_slice(b"}\n");
}

fn push_field(buffer: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    buffer.extend_from_slice(b",\"");
    buffer.extend_from_slice(name.as_bytes());
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            buffer.extend_from_slice(b"\":\"");
            push_escaped(buffer, text);
        }
        Err(_) => {
            buffer.extend_from_slice(b"_base64\":\"");
            buffer.extend_from_slice(STANDARD.encode(bytes).as_bytes());
        }
    }
    buffer.push(b'"');
}

/// Copies the runs between the few bytes that JSON wants escaped. All of those are ASCII, so no run is cut inside a
/// character.
fn push_escaped(buffer: &mut Vec<u8>, text: &str) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        buffer.extend_from_slice(&text.as_bytes()[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => buffer.extend_from_slice(b"\\\""),
            b'\\' => buffer.extend_from_slice(b"\\\\"),
            b'\n' => buffer.extend_from_slice(b"\\n"),
            b'\r' => buffer.extend_from_slice(b"\\r"),
            b'\t' => buffer.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(buffer, "\\u{control:04x}");
            }
        }
    }
    buffer.extend_from_slice(&text.as_bytes()[copied..]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(index: u64, task: &[u8], outcome: Outcome<'_>) -> String {
        let mut buffer = Vec::new();
        let row = Row {
            index,
            task,
            outcome,
            account: None,
            stderr: &[],
        };
        push_line(&mut buffer, &row);
        String::from_utf8(buffer).unwrap()
    }

    /// The bytes of a field, whichever of its two names it has.
    fn field(line: &Value, name: &str) -> Vec<u8> {
        match (&line[name], &line[format!("{name}_base64")]) {
            (Value::String(text), Value::Null) => text.as_bytes().to_vec(),
            (Value::Null, Value::String(text)) => STANDARD.decode(text).unwrap(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_line_looks_as_documented() {
        assert_eq!(
            line(0, b"17", Outcome::Ok(b"true")),
            "{\"index\":0,\"task\":\"17\",\"outcome\":\"ok\",\"value\":\"true\"}\n"
        );
        assert_eq!(
            line(1, b"x", Outcome::Err(b"not a \"number\"")),
            "{\"index\":1,\"task\":\"x\",\"outcome\":\"err\",\"error\":\"not a \\\"number\\\"\"}\n"
        );
        let row = Row {
            index: 3,
            task: b"y",
            outcome: Outcome::Err(b"exited with status 1"),
            account: Some(Account {
                attempts: 3,
                elapsed: Duration::from_micros(1_012_300),
            }),
            stderr: b"no y\n",
        };
        let mut buffer = Vec::new();
        push_line(&mut buffer, &row);
        assert_eq!(
            String::from_utf8(buffer).unwrap(),
            "{\"index\":3,\"task\":\"y\",\"outcome\":\"err\",\"error\":\"exited with status 1\",\
             \"attempts\":3,\"duration_ms\":1012.300,\"stderr\":\"no y\\n\"}\n"
        );
        assert_eq!(
            line(2, b"\xff", Outcome::Err(b"\xfe")),
            "{\"index\":2,\"task_base64\":\"/w==\",\"outcome\":\"err\",\"error_base64\":\"/g==\"}\n"
        );
    }

    #[test]
    fn every_byte_value_comes_back_alone_and_among_others() {
        for byte in 0..=u8::MAX {
            for task in [vec![byte], vec![b'a', byte, b'"'], vec![0xc3, byte, b'z']] {
                let text = line(7, &task, Outcome::Ok(&task));
                assert!(
                    text.ends_with('\n') && text.matches('\n').count() == 1,
                    "{text:?}"
                );
                let parsed: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    (field(&parsed, "task"), field(&parsed, "value")),
                    (task.clone(), task)
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(index: u64, task: Vec<u8>, value: Vec<u8>, is_ok: bool) {
            let outcome = if is_ok { Outcome::Ok(&value) } else { Outcome::Err(&value) };
            let parsed: Value = serde_json::from_str(&line(index, &task, outcome)).unwrap();
            prop_assert_eq!(parsed["index"].as_u64(), Some(index));
            prop_assert_eq!(parsed["outcome"].as_str(), Some(if is_ok { "ok" } else { "err" }));
            prop_assert_eq!(field(&parsed, "task"), task);
            prop_assert_eq!(field(&parsed, if is_ok { "value" } else { "error" }), value);
        }

        #[test]
        fn any_text_comes_back_as_text(text: String) {
            let parsed: Value = serde_json::from_str(&line(0, text.as_bytes(), Outcome::Ok(b""))).unwrap();
            prop_assert_eq!(parsed["task"].as_str(), Some(text.as_str()));
        }
    }
}
