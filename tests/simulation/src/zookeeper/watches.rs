//! What a server watches for one connection.

use std::collections::BTreeSet;

use distjob_runtime::zk::client::NodeEvent;

use super::{
    message::{Greeting, Happened, News},
    tree::{Change, Tree, parent},
};

/// The watches of one connection. They end with it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    pub(super) data: BTreeSet<String>,
    pub(super) children: BTreeSet<String>,
    pub(super) recursive: BTreeSet<String>,
}

impl Watches {
    /// What a change makes the watches tell. Those that tell once are gone then.
    pub(super) fn fire(&mut self, change: &Change) -> Vec<News> {
        let mut news = Vec::new();
        let path = change.path.as_str();
        let is_deleted = change.what == NodeEvent::Deleted;
        let mut is_told = self.data.remove(path);
        is_told |= is_deleted && self.children.remove(path);
        is_told |= self.recursive.iter().any(|above| is_below(path, above));
        if is_told {
            news.push(News {
                path: path.to_owned(),
                what: Happened::Node(change.what),
            });
        }
        if change.what != NodeEvent::Changed && self.children.remove(parent(path)) {
            news.push(News {
                path: parent(path).to_owned(),
                what: Happened::Children,
            });
        }
        news
    }

    /// Sets again what a client watched through another connection, and tells what it missed.
    pub(super) fn restore(&mut self, greeting: &Greeting, tree: &Tree) -> Vec<News> {
        let mut news = Vec::new();
        let mut tell = |path: &String, what| {
            news.push(News {
                path: path.clone(),
                what,
            });
        };
        for path in &greeting.data_watches {
            match tree.get(path) {
                None => tell(path, Happened::Node(NodeEvent::Deleted)),
                Some(znode) if znode.mzxid > greeting.zxid => {
                    tell(path, Happened::Node(NodeEvent::Changed));
                }
                Some(_) => {
                    self.data.insert(path.clone());
                }
            }
        }
        for path in &greeting.child_watches {
            match tree.get(path) {
                None => tell(path, Happened::Node(NodeEvent::Deleted)),
                Some(znode) if znode.stat.pzxid > greeting.zxid => tell(path, Happened::Children),
                Some(_) => {
                    self.children.insert(path.clone());
                }
            }
        }
        news
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
}
