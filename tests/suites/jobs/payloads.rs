//! Payloads are bytes, whatever they are; and what the `prime` handler makes of them.

use std::fs;

use harness::{World, is_prime};

use crate::SOON;
use crate::crew::{Executor, calm_world, drill, start_watcher};

/// The lines of a delivered file, as they stand.
fn lines(world: &World, id: &str) -> Vec<String> {
    let file = world.sink().join(format!("default/{id}.jsonl"));
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn payloads_and_values_of_any_bytes_arrive_as_they_were() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start_as(&world, "e", drill(&world, "")).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut tasks: Vec<Vec<u8>> = every_byte.iter().map(|byte| vec![*byte]).collect();
    // Also some that are longer than all that a claim or a slice is meant to have.
    tasks.extend([
        every_byte.clone(),
        Vec::new(),
        every_byte.repeat(4_000),
        vec![b'x'; 8 << 20],
    ]);
    let texts = [
        "two\nlines\r\n",
        "\n",
        " \t ",
        r#"{"index":0,"task":"17"} \ "quoted" \u0000"#,
        "NUL \0 and escape \u{1b}",
        "naïve façade \u{2028} \u{feff} 🦀 \u{10ffff}",
    ];
    tasks.extend(texts.map(|text| text.as_bytes().to_owned()));
    // UTF-8 that is cut off, overlong, or a surrogate.
    tasks.extend([&b"caf\xc3"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xff\xfe"].map(<[u8]>::to_owned));
    let id = world.job_id("bytes");
    world.plain_submit(&id, &tasks).await.unwrap();

    world.drained(SOON).await.unwrap();
    for line in world.delivered_whole("default", &id, &tasks).unwrap() {
        assert!(line.outcome.as_ref() == Ok(&line.task), "index {}", line.index);
    }
    for (line, task) in lines(&world, &id).iter().zip(&tasks) {
        let is_text = std::str::from_utf8(task).is_ok();
        let (task, value) = (line.contains(r#","task":""#), line.contains(r#","value":""#));
        assert_eq!((task, value), (is_text, is_text), "{line:.100}");
    }
}

#[tokio::test]
async fn equal_payloads_are_tasks_of_their_own() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let executor = Executor::start(&world, "e").await;
    let tasks: Vec<&str> = ["17", "18", "17", "17", ""].repeat(600);
    let id = world.job_id("doubles");
    world.plain_submit(&id, &tasks).await.unwrap();

    world.drained(SOON).await.unwrap();
    world.delivered_whole("default", &id, &tasks).unwrap();
    assert_eq!(executor.executions(), tasks.len() as u64);
}

#[tokio::test]
async fn a_line_is_what_the_contract_says() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let id = world.job_id("lines");
    let tasks: [&[u8]; 4] = [b"17", b"18", b"seventeen", b"\xff17"];
    world.plain_submit(&id, &tasks).await.unwrap();

    world.drained(SOON).await.unwrap();
    let no_number = "not a whole number in decimal digits";
    assert_eq!(
        lines(&world, &id),
        [
            r#"{"index":0,"task":"17","outcome":"ok","value":"true"}"#.to_owned(),
            r#"{"index":1,"task":"18","outcome":"ok","value":"false"}"#.to_owned(),
            format!(r#"{{"index":2,"task":"seventeen","outcome":"err","error":"{no_number}"}}"#),
            format!(r#"{{"index":3,"task_base64":"/zE3","outcome":"err","error":"{no_number}"}}"#),
        ]
    );
}

#[tokio::test]
async fn what_is_no_number_is_an_error_beside_right_answers_to_the_smallest_and_the_largest() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    // Near the top trial division takes seconds: these are known.
    let largest = [
        (u64::MAX, "false"),
        (u64::MAX - 58, "true"), // the largest prime below 2^64
        (u64::MAX - 57, "false"),
        (4_294_967_291 * 4_294_967_291, "false"), // the square of the largest prime below 2^32
    ];
    let bad = [
        "",
        "-7",
        "+7",
        "7.0",
        "0x11",
        "1e3",
        "seventeen",
        "1 3",
        "1\u{a0}3",
        "18446744073709551616",
        "99999999999999999999999999999999",
    ];
    // Each text with the right answer; none for an error.
    let mut expected: Vec<(String, Option<String>)> = Vec::new();
    expected.extend((0..200).map(|number: u64| (number.to_string(), Some(is_prime(number).to_string()))));
    expected.extend(largest.map(|(number, word)| (number.to_string(), Some(word.to_owned()))));
    expected.extend(bad.map(|text| (text.to_owned(), None)));
    let id = world.job_id("numbers");
    let tasks: Vec<&String> = expected.iter().map(|(task, _)| task).collect();
    world.plain_submit(&id, &tasks).await.unwrap();

    world.drained(SOON).await.unwrap();
    let lines = world.delivered_whole("default", &id, &tasks).unwrap();
    for (line, (task, answer)) in lines.iter().zip(&expected) {
        let value = line
            .outcome
            .as_ref()
            .ok()
            .map(|value| String::from_utf8_lossy(value));
        assert_eq!(
            value.as_deref(),
            answer.as_deref(),
            "{task:?}: {:?}",
            line.outcome
        );
    }
}
