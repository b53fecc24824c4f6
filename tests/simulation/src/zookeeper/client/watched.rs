//! Who waits for what a client's watches tell.

use std::collections::BTreeMap;

use distjob_runtime::zk::client::{NodeEvent, OnceWatch, WatchEvent};
use futures::{StreamExt as _, channel::mpsc, stream::BoxStream};
use tokio::sync::oneshot;

use crate::zookeeper::message::{Happened, News};

/// The watches of one client, which outlive its connections.
#[derive(Debug, Default)]
pub(super) struct Watched {
    data: BTreeMap<String, Vec<oneshot::Sender<()>>>,
    children: BTreeMap<String, Vec<oneshot::Sender<()>>>,
    recursive: BTreeMap<String, Vec<mpsc::UnboundedSender<WatchEvent>>>,
}

impl Watched {
    pub(super) fn watch_data(&mut self, path: String) -> OnceWatch {
        once(self.data.entry(path).or_default())
    }

    pub(super) fn watch_children(&mut self, path: String) -> OnceWatch {
        once(self.children.entry(path).or_default())
    }

    pub(super) fn watch_recursively(&mut self, path: String) -> BoxStream<'static, WatchEvent> {
        let (sender, receiver) = mpsc::unbounded();
        self.recursive.entry(path).or_default().push(sender);
        receiver.boxed()
    }

    /// What is watched once: what a client tells a server on a new connection.
    pub(super) fn once_paths(&mut self) -> (Vec<String>, Vec<String>) {
        let paths = |watches: &mut BTreeMap<String, Vec<oneshot::Sender<()>>>| {
            watches.retain(|_, senders| senders.iter().any(|sender| !sender.is_closed()));
            watches.keys().cloned().collect()
        };
        (paths(&mut self.data), paths(&mut self.children))
    }

    /// Tells those who wait for it.
    pub(super) fn tell(&mut self, news: &News) {
        let path = news.path.as_str();
        match news.what {
            Happened::Node(what) => {
                fire(&mut self.data, path);
                if what == NodeEvent::Deleted {
                    fire(&mut self.children, path);
                }
                let is_above = |above: &String| {
                    path == above || path.starts_with(above) && path[above.len()..].starts_with('/')
                };
                for (_, senders) in self.recursive.iter_mut().filter(|(above, _)| is_above(above)) {
                    send(senders, &WatchEvent::Node(what, path.to_owned()));
                }
            }
            Happened::Children => fire(&mut self.children, path),
        }
    }

    /// Tells all who watch for more than once how the session stands, and all when it is over.
    pub(super) fn tell_state(&mut self, state: &WatchEvent) {
        for senders in self.recursive.values_mut() {
            send(senders, state);
        }
        if *state == WatchEvent::Over {
            // Whoever waits hears that nothing more comes.
            *self = Self::default();
        }
    }
}

fn once(senders: &mut Vec<oneshot::Sender<()>>) -> OnceWatch {
    let (sender, fired) = oneshot::channel();
    senders.retain(|sender| !sender.is_closed());
    senders.push(sender);
    OnceWatch::new(async {
        // A sender that is dropped says that the session is over.
        let _ = fired.await;
    })
}

fn fire(watches: &mut BTreeMap<String, Vec<oneshot::Sender<()>>>, path: &str) {
    for sender in watches.remove(path).unwrap_or_default() {
        // Who waited may have gone.
        let _ = sender.send(());
    }
}

fn send(senders: &mut Vec<mpsc::UnboundedSender<WatchEvent>>, event: &WatchEvent) {
    senders.retain(|sender| sender.unbounded_send(event.clone()).is_ok());
}
