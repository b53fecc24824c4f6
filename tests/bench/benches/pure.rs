//! The pure parts that a task, a job or a member costs: `cargo bench -p distjob-bench`.
//!
//! Compare with what was there before by `-- --save-baseline before`, then `-- --baseline before`.

use std::{hint::black_box, io::BufReader};

use criterion::{BenchmarkId, Criterion, Throughput};
use distjob_core::{
    JobData, Outcome, Packed,
    outcome::unpack,
    share::{Circle, Sharing, assign},
};
use submitter::lines::Lines;

/// How many members there are: few, many, and as many as a root may have.
const MEMBERS: [usize; 3] = [2, 32, 1_000];

/// Jobs that are shared out at once.
const JOBS: usize = 1_000;

/// How many lines an input has.
const LINES: usize = 5_000;

/// What one commit carries, about.
const OUTCOMES: usize = 5_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    sharing(&mut criterion);
    codec(&mut criterion);
    parser(&mut criterion);
    lines(&mut criterion);
    criterion.final_summary();
}

fn names(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{stem}-{number:028}")).collect()
}

/// Whose is a job: for one that came, and for all of them anew.
fn sharing(criterion: &mut Criterion) {
    let jobs = names("job", JOBS);
    let mut group = criterion.benchmark_group("share");
    for count in MEMBERS {
        let members = names("member", count);
        let circle = Circle::new(&members[count / 2], &members);
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(
            BenchmarkId::new("one job among members", count),
            &circle,
            |bencher, circle| {
                bencher.iter(|| circle.prefers_me(black_box(&jobs[0])));
            },
        );
        group.throughput(Throughput::Elements(JOBS as u64));
        group.bench_with_input(
            BenchmarkId::new("1,000 jobs among members", count),
            &members,
            |bencher, members| {
                bencher.iter(|| assign(Sharing::Rendezvous, black_box(&jobs), members));
            },
        );
    }
    group.finish();
}

/// Outcomes as they stand in Redis.
fn codec(criterion: &mut Criterion) {
    let packed = pack(OUTCOMES);
    let mut group = criterion.benchmark_group("outcomes");
    group.throughput(Throughput::Elements(OUTCOMES as u64));
    group.bench_function("pack 5,000", |bencher| bencher.iter(|| pack(black_box(OUTCOMES))));
    group.bench_function("unpack 5,000", |bencher| {
        bencher.iter(|| unpack(black_box(packed.bytes())).filter(Result::is_ok).count());
    });
    group.finish();
}

fn pack(count: usize) -> Packed {
    let mut packed = Packed::default();
    for index in 0..count {
        packed.push(match index % 100 {
            99 => Outcome::Err(b"it is no number"),
            index if index % 2 == 0 => Outcome::Ok(b"false"),
            _ => Outcome::Ok(b"true"),
        });
    }
    packed
}

/// The lines of an input, as tasks: short ones, as of a list of numbers, and long ones.
fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lines");
    for length in [2, 100, 1_000] {
        let line = "x".repeat(length) + "\n";
        let input = line.repeat(LINES);
        group.throughput(Throughput::Elements(LINES as u64));
        group.bench_with_input(BenchmarkId::new("of bytes", length), &input, |bencher, input| {
            bencher.iter(|| {
                let lines = Lines::new(BufReader::new(black_box(input.as_bytes())), 1 << 20);
                lines.filter(Result::is_ok).count()
            });
        });
    }
    group.finish();
}

/// The data of a job's znode: as another program writes it, and as the submitter does.
fn parser(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("job data");
    let texts = [
        ("of a plain submission", "subm=5000;queue=primes"),
        (
            "of the submitter",
            "subm=5000;queue=primes;from=0197b0a3c0de7000a1b2c3d4e5f60718",
        ),
    ];
    for (whose, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("parse", whose), |bencher| {
            bencher.iter(|| JobData::parse(black_box(text.as_bytes())));
        });
    }
    let data = JobData::parse(texts[1].1.as_bytes());
    group.bench_function("write", |bencher| {
        bencher.iter(|| data.as_ref().map(|data| black_box(data).to_string()));
    });
    group.finish();
}
