//! All keys of a job, read with plain commands and put into the model's form.

use std::collections::{BTreeMap, HashMap};

use distjob_core::store::model::Model;
use distjob_core::store::{Meta, MetaState};
use distjob_core::{JobData, JobId, KeyScheme, Lease, Source, Token};
use redis::aio::MultiplexedConnection;

type Dump = (
    HashMap<String, String>,
    Vec<Vec<u8>>,
    HashMap<String, String>,
    Vec<String>,
    HashMap<String, Vec<u8>>,
);

/// The state of a job that may have been pushed from `sources`, all of it, as the model would have it.
pub(crate) async fn dump(
    raw: &mut MultiplexedConnection,
    scheme: &KeyScheme,
    id: &JobId,
    sources: &[Source],
) -> Model {
    let keys = scheme.job(id);
    let mut pipe = redis::pipe();
    pipe.hgetall(&keys.meta)
        .lrange(&keys.tasks, 0, -1)
        .hgetall(&keys.leases)
        .lrange(&keys.freed, 0, -1)
        .hgetall(&keys.results);
    let (meta, tasks, leases, freed, results): Dump = pipe.query_async(raw).await.unwrap();
    let mut pipe = redis::pipe();
    for source in sources {
        pipe.lrange(scheme.source(id, source), 0, -1);
    }
    let lists: Vec<Vec<Vec<u8>>> = pipe.query_async(raw).await.unwrap();
    Model {
        sources: sources
            .iter()
            .cloned()
            .zip(lists)
            .filter(|(_, list)| !list.is_empty())
            .collect(),
        meta: (!meta.is_empty()).then(|| parse_meta(&meta)),
        dead: meta
            .keys()
            .filter_map(|field| field.strip_prefix("dead:")?.parse().ok())
            .collect(),
        tasks,
        leases: leases
            .iter()
            .map(|(holder, leases)| (holder.parse().unwrap(), parse_leases(leases)))
            .collect(),
        freed: freed.iter().map(|range| range.parse().unwrap()).collect(),
        results: parse_results(results),
    }
}

/// Leases, in the one form in which they are to be written.
fn parse_leases(text: &str) -> Vec<Lease> {
    let leases = Lease::parse_list(text).unwrap();
    let again: Vec<String> = leases.iter().map(Lease::to_string).collect();
    assert_eq!(again.join(","), text);
    leases
}

fn parse_meta(fields: &HashMap<String, String>) -> Meta {
    let number = |name: &str| fields.get(name).map_or(0, |text| text.parse().unwrap());
    Meta {
        life: fields["J"].parse().unwrap(),
        state: match fields["state"].as_str() {
            "open" => MetaState::Open,
            "gone" => MetaState::Gone,
            other => panic!("unknown state {other}"),
        },
        source: match fields["source"].as_str() {
            "" => Source::Plain,
            source => Source::Staged(Token::new(source).unwrap()),
        },
        count: number("n"),
        cursor: number("cursor"),
        committed: number("committed"),
        failed: number("failed"),
        conclusion: fields.get("conclusion").map(|word| word.parse().unwrap()),
        last: fields
            .get("data")
            .map(|text| JobData::parse(text.as_bytes()).unwrap()),
    }
}

fn parse_results(results: HashMap<String, Vec<u8>>) -> BTreeMap<u64, (u64, Vec<u8>)> {
    let parse = |(lo, mut value): (String, Vec<u8>)| {
        let colon = value.iter().position(|byte| *byte == b':').unwrap();
        let packed = value.split_off(colon + 1);
        value.pop();
        let upto = String::from_utf8(value).unwrap().parse().unwrap();
        (lo.parse().unwrap(), (upto, packed))
    };
    results.into_iter().map(parse).collect()
}
