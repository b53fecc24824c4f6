//! Single tasks over a socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::join_all;
use harness::{Process, World};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpStream, UnixStream};

use super::network::{listens, metric};
use super::{jobs, serve};
use crate::{SOON, task_texts};

/// These tables behind a listener.
fn tables(more: &str) -> String {
    format!("[run.socket]\nlisten = \"tcp:127.0.0.1:0\"\n{more}")
}

/// Each job is closed when it has exactly so many tasks, and never by the clock.
fn jobs_of(tasks: u64) -> String {
    tables(&format!("[queue]\nmax_tasks = {tasks}\nmax_wait = \"1h\"\n"))
}

async fn connect(process: &Process) -> TcpStream {
    let addr = listens(process, "line intake on tcp:").await;
    TcpStream::connect(addr).await.unwrap()
}

/// Sends these bytes and closes this half; all answers.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, input: impl AsRef<[u8]>) -> Vec<String> {
    // A server that has heard enough may close before it has read all.
    let _ = stream.write_all(input.as_ref()).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers).await;
    let answers = String::from_utf8(answers).unwrap();
    answers.lines().map(str::to_owned).collect()
}

/// The job and the index that an answer tells.
fn place(answer: &str) -> (String, usize) {
    let mut words = answer
        .strip_prefix("+ ")
        .unwrap_or_else(|| panic!("{answer}"))
        .split(' ');
    let (job, index) = (words.next().unwrap(), words.next().unwrap());
    (job.to_owned(), index.parse().unwrap())
}

#[tokio::test]
async fn each_line_is_answered_in_order_with_its_place() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &jobs_of(3)).await;
    let answers = talk(connect(&service).await, "queue primes\n17\n\n18\r\n").await;
    let id = jobs(&world, 1).await.remove(0);
    let expected: Vec<_> = (0..3).map(|index| format!("+ {id} {index}")).collect();
    assert_eq!(answers, expected);
    assert_eq!(task_texts(&world, &id).await, ["17", "", "18\r"]);
    assert!(world.jobs().await.unwrap()[&id].starts_with("subm=3;queue=primes;"));
}

#[tokio::test]
async fn a_unix_socket_does_as_well_and_one_of_a_dead_service_is_replaced() {
    let world = World::shared().await.unwrap();
    let path: PathBuf = world.dir().join("submit.sock");
    let place = format!("listen = \"unix:{}\"", path.display());
    let table = format!("[run.socket]\n{place}\nqueue = \"primes\"\n[queue]\nmax_tasks = 1\n");
    let dead = serve(&world, &table).await;
    dead.kill().await.unwrap();
    assert!(path.exists());
    let service = serve(&world, &table).await;
    let answers = talk(UnixStream::connect(&path).await.unwrap(), "17\n").await;
    let id = jobs(&world, 1).await.remove(0);
    assert_eq!(answers, [format!("+ {id} 0")]);
    assert!(world.jobs().await.unwrap()[&id].starts_with("subm=1;queue=primes;"));
    service.stop(SOON).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn lines_of_many_connections_share_jobs_and_each_keeps_its_order() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &jobs_of(100)).await;
    let talks = (0..20).map(|connection| {
        let service = &service;
        async move {
            let lines: Vec<_> = (0..15).map(|n| format!("{connection}.{n}")).collect();
            let answers = talk(connect(service).await, lines.join("\n") + "\n").await;
            assert_eq!(answers.len(), 15);
            lines
                .into_iter()
                .zip(answers)
                .map(|(line, answer)| (place(&answer), line))
                .collect::<Vec<_>>()
        }
    });
    let told: BTreeMap<_, _> = join_all(talks).await.into_iter().flatten().collect();
    assert_eq!(told.len(), 300);
    for id in jobs(&world, 3).await {
        for (index, task) in task_texts(&world, &id).await.into_iter().enumerate() {
            assert_eq!(told[&(id.clone(), index)], task);
        }
    }
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_all_answered() {
    let world = World::shared().await.unwrap();
    let more = "connections = 500\n[queue]\nmax_tasks = 1000\nmax_wait = \"10ms\"\n";
    let service = serve(&world, &tables(more)).await;
    let addr = listens(&service, "line intake on tcp:").await;
    // Half of them wait until others have ended.
    let streams = join_all((0..1000).map(|_| TcpStream::connect(&addr))).await;
    let talks = streams.into_iter().enumerate().map(|(n, stream)| async move {
        let answers = talk(stream.unwrap(), format!("{n}\n")).await;
        assert_eq!(answers.len(), 1, "{n}: {answers:?}");
        place(&answers[0]);
    });
    join_all(talks).await;
    metric(&service, "distjob_submitter_tasks_total 1000").await;
}

#[tokio::test]
async fn what_is_no_task_is_refused_and_what_was_before_it_is_safe() {
    let world = World::shared().await.unwrap();
    let more = "timeout = \"500ms\"\n[queue]\nmax_tasks = 1\n[submitter]\nmax_task_bytes = \"10B\"\n";
    let service = serve(&world, &tables(more)).await;
    for (input, reason) in [
        (&b"1\n12345678901\n3\n"[..], "- the line has more than 10 bytes"),
        (b"1\nno end", "- the last line has no newline behind it"),
    ] {
        let answers = talk(connect(&service).await, input).await;
        assert_eq!(answers.len(), 2, "{answers:?}");
        place(&answers[0]);
        assert!(answers[1].starts_with(reason), "{answers:?}");
    }
    let unnamed = talk(connect(&service).await, "queue a.b\n1\n").await;
    assert_eq!(unnamed.len(), 1);
    assert!(
        unnamed[0].starts_with("- a queue name consists of"),
        "{unnamed:?}"
    );
    // Without an end for ever: it is heard of no more than a task may have.
    let endless = talk(connect(&service).await, vec![b'x'; 8 << 20]).await;
    assert!(
        endless
            .iter()
            .all(|answer| answer.starts_with("- the line has more than")),
        "{endless:?}"
    );
    // A line that was begun and does not go on.
    let mut slow = connect(&service).await;
    slow.write_all(b"1\n2").await.unwrap();
    let mut answers = String::new();
    slow.read_to_string(&mut answers).await.unwrap();
    assert!(
        answers.ends_with("- the line did not end within 500ms\n"),
        "{answers}"
    );
    jobs(&world, 3).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_task() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &jobs_of(1)).await;
    let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let answers = talk(connect(&service).await, [&bytes[..], b"\n"].concat()).await;
    let (id, _) = place(&answers[0]);
    assert_eq!(crate::tasks(&world, &id).await, [bytes]);
}

#[tokio::test]
async fn asked_to_stop_it_answers_what_it_has_read() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &jobs_of(10)).await;
    let mut stream = connect(&service).await;
    // The first job is full, the second would wait for an hour.
    let lines: String = (0..13).map(|n| format!("{n}\n")).collect();
    stream.write_all(lines.as_bytes()).await.unwrap();
    let mut answers = BufReader::new(stream).lines();
    for index in 0..10 {
        let answer = answers.next_line().await.unwrap().unwrap();
        assert_eq!(place(&answer).1, index);
    }
    service.terminate().unwrap();
    let mut rest = Vec::new();
    while let Some(answer) = answers.next_line().await.unwrap() {
        rest.push(place(&answer));
    }
    assert_eq!(service.wait(SOON).await.unwrap().code(), Some(0));
    // Whatever of the second job was read is answered, and is a job.
    let ids = jobs(&world, 1 + usize::from(!rest.is_empty())).await;
    let tasks: usize = {
        let mut tasks = 0;
        for id in &ids {
            tasks += task_texts(&world, id).await.len();
        }
        tasks
    };
    assert_eq!(tasks, 10 + rest.len());
}

#[tokio::test]
async fn what_was_answered_survives_sigkill() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &jobs_of(10)).await;
    let (input, mut output) = connect(&service).await.into_split();
    let sending = tokio::spawn(async move {
        let mut n = 0_u64;
        // Until nobody listens any more.
        while output.write_all(format!("{n}\n").as_bytes()).await.is_ok() {
            n += 1;
        }
    });
    let mut answers = BufReader::new(input).lines();
    let mut told = Vec::new();
    while let Ok(Some(answer)) = answers.next_line().await {
        told.push(place(&answer));
        if told.len() == 35 {
            service.kill().await.unwrap();
        }
    }
    sending.await.unwrap();
    assert!(told.len() >= 35);
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (n, (id, index)) in told.into_iter().enumerate() {
        if !known.contains_key(&id) {
            known.insert(id.clone(), task_texts(&world, &id).await);
        }
        assert_eq!(known[&id][index], n.to_string());
    }
}
