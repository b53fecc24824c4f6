//! The modelled ensemble against a real server: one script, the same answers, stats and watches.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "like_zookeeper/play.rs"]
mod play;
#[path = "like_zookeeper/script.rs"]
mod script;

use distjob_runtime::{chance, zk::client::over_network};
use distjob_simulation::{
    network::{Delays, Network, Node, Process},
    trace::Trace,
    zookeeper::{Ensemble, EnsembleSettings},
};
use harness::ZooKeeper;
use tokio::runtime::Builder;

use self::{
    play::{Stage, play},
    script::script,
};

const SEEDS: u64 = 10;
const STEPS: usize = 150;

/// What a script comes to in the model, in virtual time.
fn modelled(seed: u64) -> Vec<String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        chance::seed(seed);
        let trace = Trace::new(false);
        let network = Network::start(seed, Delays::default(), trace.clone());
        let ensemble = Ensemble::start(&network, seed, EnsembleSettings::default(), trace);
        let process = |node| Process {
            node: Node(node),
            life: 1,
        };
        let stage = Stage {
            connectors: [1, 2].map(|node| ensemble.connector(process(node))),
            servers: String::new(),
            root: "/like".to_owned(),
        };
        play(&stage, &script(seed, STEPS)).await
    })
}

#[test]
fn the_model_answers_whatever_it_is_asked_as_a_real_server_does() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let real: Vec<Vec<String>> = runtime.block_on(async {
        let server = ZooKeeper::start_in(dir.path()).await.unwrap();
        let mut answers = Vec::new();
        for seed in 0..SEEDS {
            let stage = Stage {
                connectors: [over_network(), over_network()],
                servers: server.connect_string(),
                root: format!("/like-{seed}"),
            };
            answers.push(play(&stage, &script(seed, STEPS)).await);
        }
        answers
    });
    let all = real.concat().join("\n");
    let kinds = [
        "life",
        "ok",
        "NoNode",
        "NodeExists",
        "BadVersion",
        "NotEmpty",
        "refused",
        "data of",
        "children of",
        "all of [\"",
        "Created",
        "Changed",
        "Deleted",
        "Over",
    ];
    for kind in kinds {
        assert!(all.contains(kind), "no step comes to {kind}");
    }
    for (seed, real) in (0..).zip(real) {
        let model = modelled(seed);
        assert_eq!((model.len(), real.len()), (STEPS, STEPS));
        for (step, (model, real)) in model.iter().zip(&real).enumerate() {
            assert_eq!(
                model, real,
                "step {step} of seed {seed}: the model, and then the server"
            );
        }
    }
}
