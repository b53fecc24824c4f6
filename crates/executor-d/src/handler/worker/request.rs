//! Writes a request: one line of JSON.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

/// What a worker is told of a task. The fields of the line have these names, in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// Names the request; the reply repeats it. From 1, never twice in one process.
    pub(super) id: u64,
    /// The job.
    pub(super) job: &'a str,
    /// Which task of it.
    pub(super) index: u64,
    /// Which run of this task, from 1.
    pub(super) attempt: u32,
    /// Its queue.
    pub(super) queue: &'a str,
    /// The same for all attempts of the task, and for no other task.
    pub(super) key: &'a str,
    /// What the task is.
    pub(super) payload: &'a [u8],
}

#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    job: &'a str,
    index: u64,
    attempt: u32,
    queue: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl Request<'_> {
    /// Appends the line, with its newline.
    pub(super) fn push(&self, buffer: &mut Vec<u8>) {
        let text = std::str::from_utf8(self.payload).ok();
        let line = Line {
            id: self.id,
            job: self.job,
            index: self.index,
            attempt: self.attempt,
            queue: self.queue,
            key: self.key,
            payload: text,
            payload_base64: text.is_none().then(|| STANDARD.encode(self.payload)),
        };
        let mut serializer = Serializer::with_formatter(&mut *buffer, OneLine);
        line.serialize(&mut serializer)
            .expect("strings and numbers can be written to a vector");
        buffer.push(b'\n');
    }
}

/// JSON in one line for every reader: some take these characters for the end of a line, too, Python's `splitlines` and
/// Node's `readline` among them.
struct OneLine;

const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

impl Formatter for OneLine {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(LINE_ENDS) {
            let (before, from) = rest.split_at(at);
            let mut characters = from.chars();
            let end = characters.next().map_or(0, u32::from);
            write!(writer, "{before}\\u{end:04x}")?;
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(payload: &[u8]) -> String {
        let mut buffer = b"before\n".to_vec();
        Request {
            id: 7,
            job: "report",
            index: 3,
            attempt: 2,
            queue: "thumbs",
            key: "report.00000000000000ff.3",
            payload,
        }
        .push(&mut buffer);
        let line = buffer.strip_prefix(b"before\n").unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn a_request_is_one_line_with_all_that_there_is_to_know() {
        assert_eq!(
            line(b"a\nb\0"),
            "{\"id\":7,\"job\":\"report\",\"index\":3,\"attempt\":2,\"queue\":\"thumbs\",\
             \"key\":\"report.00000000000000ff.3\",\"payload\":\"a\\nb\\u0000\"}\n"
        );
    }

    #[test]
    fn a_payload_that_is_no_text_is_base64() {
        assert!(line(b"\xff\x00").ends_with("\"payload_base64\":\"/wA=\"}\n"));
    }

    #[test]
    fn nothing_in_a_payload_ends_the_line_for_any_reader() {
        let line = line("a\u{85}b\u{2028}\u{2029}\r\u{b}\u{c}\u{1c}".as_bytes());
        assert!(
            line.ends_with("\"payload\":\"a\\u0085b\\u2028\\u2029\\r\\u000b\\f\\u001c\"}\n"),
            "{line}"
        );
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(payload in prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
        ]) {
            let line = line(&payload);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let value: Value = serde_json::from_str(&line).unwrap();
            let read = match (&value["payload"], &value["payload_base64"]) {
                (Value::String(text), Value::Null) => text.clone().into_bytes(),
                (Value::Null, Value::String(text)) => STANDARD.decode(text).unwrap(),
                both => panic!("{both:?}"),
            };
            prop_assert_eq!(read, payload);
        }
    }
}
