//! Hostile arguments: refused in words, and nothing changes.

use distjob_core::job::TEXT_BYTES_MAX;
use distjob_core::{QueueName, Token};
use distjob_runtime::store::scripts;
use redis::aio::MultiplexedConnection;

use crate::dump::dump;
use crate::fixture::{Fixture, LIFE, holder, tasks, token};

/// Under which a late push comes while the job was opened from another.
const OTHER_SOURCE: &str = "t9";

/// A call that would take effect.
struct Valid {
    script: &'static redis::Script,
    name: &'static str,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
    /// How many of the first arguments the script looks at, and how many it needs.
    checked: usize,
    least: usize,
}

fn valid(fixture: &Fixture) -> Vec<Valid> {
    let keys = fixture.keys();
    let (meta, tasks, leases) = (&keys.meta, &keys.tasks, &keys.leases);
    let (freed, results) = (&keys.freed, &keys.results);
    let list = fixture.store.keys().source(&fixture.id, &token(OTHER_SOURCE));
    let bucket = fixture.store.keys().rate(&QueueName::default_queue());
    let (life, holder) = (LIFE.to_string(), holder("b").to_string());
    let call =
        |name: &'static str, keys: &[&String], args: &[&str], (checked, least): (usize, usize)| Valid {
            script: scripts().find(|(found, _)| *found == name).unwrap().1,
            name,
            keys: keys.iter().map(ToString::to_string).collect(),
            args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            checked,
            least,
        };
    let with_source = [meta, tasks, leases, freed, results, &list];
    vec![
        call("push", &[&list, meta], &[OTHER_SOURCE, "0", "60", "task"], (3, 3)),
        call("open", &with_source, &[&life, "4", "t1"], (3, 3)),
        call(
            "claim",
            &[meta, tasks, leases, freed],
            &[&life, &holder, "1", "100", "2", "1", "0:2"],
            (7, 6),
        ),
        call(
            "commit",
            &[meta, leases, results],
            &[&life, &holder, "0", "2", "0", "packed"],
            (5, 6),
        ),
        call("free", &[meta, leases, freed], &[&life, &holder, "1"], (3, 3)),
        call("read", &[meta, tasks, results], &[&life, "0", "10", "10"], (4, 4)),
        call(
            "status",
            &[meta, tasks, leases, freed, &list],
            &[&life, "4"],
            (2, 2),
        ),
        call("take", &[&bucket], &["10", "1000000", "5", "1"], (4, 4)),
        call("staged", &[&list], &["0", "2"], (2, 2)),
        call(
            "release",
            &[meta, leases, freed],
            &[&life, &holder, "0", "2"],
            (4, 4),
        ),
        call(
            "drop",
            &with_source,
            &[&life, "t1", "60", "4", "1", "failed", "uploaded=4"],
            (5, 3),
        ),
    ]
}

/// Nothing of this is a life, a holder, a number or a source, nor a number in another dress.
fn hostile() -> Vec<Vec<u8>> {
    let mut hostile: Vec<Vec<u8>> = [
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        " 1",
        "1 ",
        "1\n",
        "nan",
        "inf",
        "99999999999999999999",
        "281474976710657",
        "00000001000000G5",
        "00000001.b c",
        "a:b",
        "a,b",
        "a/b",
        "ä",
        "\0",
        "%s",
        "1%",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    hostile.push(vec![b'.'; 1 << 20]);
    hostile.push((0..=255).collect());
    hostile
}

async fn run(
    raw: &mut MultiplexedConnection,
    call: &Valid,
    args: &[Vec<u8>],
) -> redis::RedisResult<redis::Value> {
    let mut invocation = call.script.prepare_invoke();
    for key in &call.keys {
        invocation.key(key);
    }
    for arg in args {
        invocation.arg(arg);
    }
    invocation.invoke_async(raw).await
}

#[tokio::test]
async fn the_calls_that_are_spoiled_below_take_effect_as_they_are() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    fixture.open(&tasks(4)).await;
    fixture.lease(&holder("b"), 2, &[]).await;
    for call in valid(&fixture) {
        let reply = run(&mut raw, &call, &call.args).await;
        reply.unwrap_or_else(|error| panic!("{}: {error}", call.name));
    }
}

#[tokio::test]
async fn no_argument_makes_a_script_do_anything_but_refuse() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    fixture.open(&tasks(4)).await;
    fixture.lease(&holder("b"), 2, &[]).await;
    let sources = [fixture.source.clone(), token(OTHER_SOURCE)];
    let before = dump(&mut raw, fixture.store.keys(), &fixture.id, &sources).await;
    for call in valid(&fixture) {
        for position in 0..call.checked {
            for arg in hostile() {
                let mut args = call.args.clone();
                // What is no number may still be the name of a source.
                let named = std::str::from_utf8(&arg).is_ok_and(|arg| Token::new(arg).is_ok());
                if named && [b"t1", OTHER_SOURCE.as_bytes()].contains(&args[position].as_slice()) {
                    continue;
                }
                args[position] = arg;
                let error = run(&mut raw, &call, &args).await.unwrap_err().to_string();
                assert!(
                    error.contains("distjob: "),
                    "{} argument {position}: {error}",
                    call.name
                );
            }
        }
        for count in 0..call.least {
            let error = run(&mut raw, &call, &call.args[..count])
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("distjob: "),
                "{} with {count} arguments: {error}",
                call.name
            );
        }
        let after = dump(&mut raw, fixture.store.keys(), &fixture.id, &sources).await;
        assert_eq!(before, after, "{}", call.name);
    }
}

#[tokio::test]
async fn numbers_that_make_no_sense_together_are_refused() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    fixture.open(&tasks(4)).await;
    fixture.lease(&holder("b"), 2, &[]).await;
    let calls = valid(&fixture);
    let refused = async |name: &str, position: usize, arg: &str, raw: &mut MultiplexedConnection| {
        let call = calls.iter().find(|call| call.name == name).unwrap();
        let mut args = call.args.clone();
        args[position] = arg.into();
        let error = run(raw, call, &args).await.unwrap_err().to_string();
        assert!(error.contains("distjob: "), "{name}: {error}");
    };
    refused("open", 1, "0", &mut raw).await;
    refused("commit", 3, "0", &mut raw).await;
    refused("commit", 2, "2", &mut raw).await;
    refused("commit", 4, "3", &mut raw).await;
    refused("claim", 5, "2", &mut raw).await;
    refused("free", 2, "2", &mut raw).await;
    refused("drop", 2, "0", &mut raw).await;
    refused("drop", 2, "315360001", &mut raw).await;
    refused("drop", 4, "5", &mut raw).await;
    for word in ["", "Failed", "a b", "a1", "a:b", &"a".repeat(33)] {
        refused("drop", 5, word, &mut raw).await;
    }
    refused("drop", 6, &"a".repeat(TEXT_BYTES_MAX + 1), &mut raw).await;
    for (position, arg) in [(0, "0"), (1, "0"), (2, "0"), (2, "5000000000")] {
        refused("take", position, arg, &mut raw).await;
    }
    refused("release", 2, "2", &mut raw).await;
    for range in ["2:2", "3:2", ":2", "2:", "1:2:3", "1:2,3:4", "0:281474976710657"] {
        refused("claim", 6, range, &mut raw).await;
    }
    refused("push", 2, "0", &mut raw).await;
    refused("push", 0, "", &mut raw).await;
    let found = dump(
        &mut raw,
        fixture.store.keys(),
        &fixture.id,
        std::slice::from_ref(&fixture.source),
    )
    .await;
    assert_eq!(found.partition(), Ok(()));
    assert!(found.results.is_empty());
}
