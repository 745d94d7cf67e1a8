//! The role of a host's agent: orders come in as lines, reports go out as lines.

use std::path::PathBuf;
use std::time::Duration;

use hanse_dataplane::{Config, Dataplane};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::plan::{Order, Report};

pub(crate) fn run(data_dir: PathBuf) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serve(data_dir));
}

async fn serve(data_dir: PathBuf) {
    let mut config = Config::new(data_dir);
    config.reconcile_interval = Duration::from_secs(2);
    config.probe_interval = Duration::from_secs(1);
    let dataplane = Dataplane::start(config)
        .await
        .unwrap_or_else(|error| panic!("{}", error.sentence()));
    let mut seen = dataplane.observe();
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            order = orders.next_line() => {
                let Some(order) = order.unwrap() else { break };
                let order: Order = serde_json::from_str(&order).unwrap();
                match order.meshes {
                    Some(meshes) => {
                        let meshes = meshes.into_iter().map(Into::into).collect();
                        dataplane.set_plan(order.revision, meshes);
                    }
                    None => dataplane.acknowledge(order.revision),
                }
            }
            changed = seen.changed() => {
                changed.unwrap();
                let report = Report::from(&*seen.borrow_and_update());
                println!("{}", serde_json::to_string(&report).unwrap());
            }
        }
    }
    dataplane.shutdown().await;
}
