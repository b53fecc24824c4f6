//! `POST /submit/<queue>`.

use std::{fmt::Display, time::Duration};

use distjob_core::{JobId, QueueName};
use distjob_runtime::chance;
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Body as _, Incoming},
    header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT},
};
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::{BODY_TIME_MAX, answer::Answer};
use crate::run::{
    Hall,
    config::HttpConfig,
    cutter::{Cutter, Form},
    whole::{Ids, Whole},
};

/// The header that makes a request repeatable.
const KEY: &str = "idempotency-key";

/// Most bytes in it.
const KEY_BYTES_MAX: usize = 256;

/// How much of a body that was refused is read nevertheless, and for how long.
const HEARD_BYTES_MAX: usize = 1 << 20;
const HEARD_FOR: Duration = Duration::from_millis(500);

/// Makes jobs of a request's body, all of it or nothing.
pub(super) async fn submit(
    hall: &Hall,
    config: &HttpConfig,
    queue: &str,
    request: Request<Incoming>,
) -> Answer {
    let (head, mut body) = request.into_parts();
    match read(hall, config, queue, &head.headers, &mut body).await {
        Err(refusal) => {
            // Who asked first whether to send the body is answered instead.
            if !head.headers.contains_key(EXPECT) {
                hear_out(&mut body).await;
            }
            refusal.and_close()
        }
        Ok(whole) => match whole.commit().await {
            Ok(handed) if handed.jobs.is_empty() => {
                Answer::refuse(StatusCode::UNPROCESSABLE_ENTITY, &"the body has no tasks")
            }
            Ok(handed) => {
                let jobs: Vec<_> = handed.jobs.iter().map(JobId::as_str).collect();
                Answer::ok(&json!({"jobs": jobs, "tasks": handed.tasks, "before": handed.before}))
            }
            Err(failure) => failure.into(),
        },
    }
}

/// Stages a whole body.
async fn read(
    hall: &Hall,
    config: &HttpConfig,
    queue: &str,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Whole, Answer> {
    hall.desk.gate.try_admit()?;
    let bad = |why: &dyn Display| Answer::refuse(StatusCode::BAD_REQUEST, why);
    let queue = QueueName::new(queue).map_err(|error| bad(&error))?;
    let form = form(headers)?;
    let too_large = body.size_hint().lower() > config.max_body;
    if too_large {
        return Err(body_too_large(config));
    }
    let (stem, ids) = match key(headers)? {
        Some(key) => (queue.request(key), Ids::Fixed),
        None => (
            JobId::new(chance::fresh_id()).map_err(|error| bad(&error))?,
            Ids::Fresh,
        ),
    };
    let limits = hall.settings.borrow().of_queue(&queue).clone();
    let mut whole = Whole::new(hall.desk.clone(), stem, ids, queue, limits);
    let cutter = Cutter::new(form, hall.desk.settings.max_task_bytes);
    let staged = hall
        .desk
        .end
        .unless_requested(stage(&mut whole, cutter, config, body))
        .await;
    match staged.unwrap_or_else(|| Err(Answer::ending())) {
        Ok(()) => Ok(whole),
        Err(refusal) => {
            whole.abandon().await;
            Err(refusal)
        }
    }
}

async fn stage(
    whole: &mut Whole,
    mut cutter: Cutter,
    config: &HttpConfig,
    body: &mut Incoming,
) -> Result<(), Answer> {
    let whole_by = Instant::now() + BODY_TIME_MAX;
    let mut bytes = 0;
    let mut tasks = Vec::new();
    while let Some(frame) = next_frame(body, config.timeout, whole_by).await? {
        bytes += frame.len() as u64;
        if bytes > config.max_body {
            return Err(body_too_large(config));
        }
        cutter.cut(&frame, &mut tasks)?;
        for task in tasks.drain(..) {
            whole.add(task).await?;
        }
    }
    if let Some(task) = cutter.end()? {
        whole.add(task).await?;
    }
    Ok(())
}

/// The next bytes of a body, `None` at its end.
async fn next_frame(
    body: &mut Incoming,
    patience: Duration,
    whole_by: Instant,
) -> Result<Option<bytes::Bytes>, Answer> {
    loop {
        let by = (Instant::now() + patience).min(whole_by);
        let frame = timeout_at(by, body.frame()).await.map_err(|_| {
            Answer::refuse(
                StatusCode::REQUEST_TIMEOUT,
                &"the body does not come to its end in time",
            )
        })?;
        let frame = frame.transpose().map_err(|error| {
            // Who hears this broke it off, or wrote it wrong.
            Answer::refuse(
                StatusCode::BAD_REQUEST,
                &format_args!("the body is broken: {error}"),
            )
        })?;
        match frame.map(hyper::body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) => return Ok(Some(data)),
            // Trailers.
            Some(Err(_)) => {}
        }
    }
}

/// Reads some of a body that was refused, and forgets it: a connection that is closed with bytes unread is reset, and the
/// other side may never see why.
async fn hear_out(body: &mut Incoming) {
    let mut left = HEARD_BYTES_MAX;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let heard = frame.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(heard) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    // It went on for as long as it may.
    let _ = timeout(HEARD_FOR, rest).await;
}

fn body_too_large(config: &HttpConfig) -> Answer {
    let most = config.max_body;
    Answer::refuse(
        StatusCode::PAYLOAD_TOO_LARGE,
        &format_args!("the body has more than {most} bytes, the most that [run.http] max_body allows"),
    )
}

/// How the tasks are written. Whatever is not said to be JSON lines is taken as it is.
fn form(headers: &HeaderMap) -> Result<Form, Answer> {
    let unsupported = |why: &str| Err(Answer::refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why));
    let text = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        let value = value.unwrap_or_default().split(';').next().unwrap_or_default();
        value.trim().to_ascii_lowercase()
    };
    if !matches!(text(CONTENT_ENCODING).as_str(), "" | "identity") {
        return unsupported("a body must not be compressed");
    }
    match text(CONTENT_TYPE).as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Form::Json)
        }
        "multipart/form-data" => {
            unsupported("a form is no list of tasks; send lines, with curl by --data-binary @file")
        }
        _ => Ok(Form::Lines),
    }
}

/// The key by which a repeated request is known.
fn key(headers: &HeaderMap) -> Result<Option<&str>, Answer> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Answer::refuse(
            StatusCode::BAD_REQUEST,
            &format_args!("an Idempotency-Key is 1 to {KEY_BYTES_MAX} ASCII characters"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static [u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(value).unwrap();
        HeaderMap::from_iter([(hyper::header::HeaderName::from_static(name), value)])
    }

    #[test]
    fn only_what_is_said_to_be_json_lines_is_looked_into() {
        let named = |kind| form(&headers("content-type", kind)).map_err(|answer| answer.status());
        assert_eq!(named(b"application/x-ndjson"), Ok(Form::Json));
        assert_eq!(named(b"Application/JSONL; charset=utf-8"), Ok(Form::Json));
        assert_eq!(named(b"application/x-www-form-urlencoded"), Ok(Form::Lines));
        assert_eq!(named(b"text/plain"), Ok(Form::Lines));
        assert_eq!(named(b"multipart/form-data; boundary=x"), Err(415));
        assert_eq!(form(&HeaderMap::new()).ok(), Some(Form::Lines));
        let packed = form(&headers("content-encoding", b"gzip"));
        assert_eq!(packed.unwrap_err().status(), 415);
    }

    #[test]
    fn a_key_is_some_ascii() {
        assert_eq!(key(&headers(KEY, b"order 7")).ok(), Some(Some("order 7")));
        assert_eq!(key(&HeaderMap::new()).ok(), Some(None));
        for wrong in [&b""[..], b"\xff", &[b'x'; 257]] {
            let leaked: &'static [u8] = wrong.to_vec().leak();
            assert_eq!(key(&headers(KEY, leaked)).unwrap_err().status(), 400);
        }
    }
}
