//! The least that Redis has to do so that tasks can be handed out and results collected: each job's tasks go in, out to who
//! runs them, its outcomes go in packed, and both go out to who delivers them. One command for each of these, nothing awaited
//! in between, nothing read of the answers but how many bytes they have.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use harness::World;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    try_join,
};

/// So many bytes of answers are read at once.
const BUFFER_BYTES: usize = 1 << 18;

/// One connection.
pub(crate) struct Least {
    redis: TcpStream,
}

impl Least {
    /// Connects.
    pub(crate) async fn connect(world: &World) -> Result<Self> {
        let addr: SocketAddr = world.redis_server()?.addr();
        let redis = TcpStream::connect(addr).await.context("connect to Redis")?;
        redis.set_nodelay(true)?;
        Ok(Self { redis })
    }

    /// Runs `count` tasks (the numbers below 100 in turn) as jobs of `size` each, which leave nothing behind. Returns the time
    /// from the first byte to the last.
    pub(crate) async fn run(&mut self, count: usize, size: usize) -> Result<Duration> {
        let jobs: Vec<(Vec<u8>, usize)> = (0..count.div_ceil(size))
            .map(|job| one(job, size.min(count - job * size)))
            .collect();
        let answers: usize = jobs.iter().map(|(_, answer)| answer).sum();
        let (mut reads, mut writes) = self.redis.split();
        let begun = Instant::now();
        let ask = async {
            for (commands, _) in &jobs {
                writes.write_all(commands).await.context("ask Redis")?;
            }
            Ok(())
        };
        let hear = async {
            let (mut left, mut buffer) = (answers, vec![0; BUFFER_BYTES]);
            while left > 0 {
                let most = left.min(BUFFER_BYTES);
                let read = reads.read(&mut buffer[..most]).await.context("hear Redis")?;
                anyhow::ensure!(read > 0, "Redis closed the connection");
                left -= read;
            }
            Ok(())
        };
        try_join!(ask, hear)?;
        Ok(begun.elapsed())
    }
}

/// The commands of one job, and how many bytes the answers have.
fn one(job: usize, size: usize) -> (Vec<u8>, usize) {
    let (tasks_key, results_key) = (format!("least:{job}:tasks"), format!("least:{job}:results"));
    let tasks: Vec<String> = (0..size).map(|task| (task % 100).to_string()).collect();
    // A header of one byte each, as outcomes are packed.
    let packed = "\u{14}false".repeat(size);
    let mut push = vec!["RPUSH", &tasks_key];
    push.extend(tasks.iter().map(String::as_str));
    let read = ["LRANGE", &tasks_key, "0", "-1"];
    let commands = [
        bulks(&push),
        bulks(&read),
        bulks(&["SET", &results_key, &packed]),
        bulks(&read),
        bulks(&["GET", &results_key]),
        bulks(&["UNLINK", &tasks_key, &results_key]),
    ];
    let pushed = format!(":{size}\r\n").len();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let value = bulks(&[&packed]).len() - "*1\r\n".len();
    let answers = pushed + 2 * bulks(&tasks).len() + "+OK\r\n".len() + value + ":2\r\n".len();
    (commands.concat(), answers)
}

/// A command, and an answer, on the wire: an array of strings.
fn bulks(parts: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_six_commands_and_its_answers_are_known_to_the_byte() {
        let (commands, answers) = one(0, 2);
        let text = String::from_utf8(commands).unwrap();
        assert!(text.starts_with("*4\r\n$5\r\nRPUSH\r\n$13\r\nleast:0:tasks\r\n$1\r\n0\r\n$1\r\n1\r\n"));
        let list = "*2\r\n$1\r\n0\r\n$1\r\n1\r\n";
        let value = "$12\r\n\u{14}false\u{14}false\r\n";
        let expected = [":2\r\n", list, "+OK\r\n", list, value, ":2\r\n"].concat();
        assert_eq!(answers, expected.len());
    }
}
