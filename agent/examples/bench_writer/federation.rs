//! A label of the federation, changed again and again.

use std::path::Path;

use anyhow::Context as _;
use hanse_client::client::request_id;
use hanse_client::{Client, Credentials, Patience};
use hanse_core::endpoint::Endpoint;
use hanse_core::object::Object;

use super::acknowledged;

pub(crate) async fn write(endpoints: &[String], credentials: &Path) -> anyhow::Result<()> {
    let endpoints: Result<Vec<Endpoint>, _> = endpoints.iter().map(|one| one.parse()).collect();
    let credentials = Credentials::read(credentials)?;
    let client = Client::connect_attended(&endpoints?, &credentials, Patience::default()).await?;
    let snapshot = client.snapshot(0, std::time::Duration::ZERO).await?;
    let stored = snapshot.inventory.federation.clone();
    let (mut federation, mut revision) = (stored.spec, stored.revision);
    for number in 0_u64.. {
        let label = ("number".to_owned(), number.to_string());
        federation.labels.extend([label]);
        let object = Object::Federation(federation.clone());
        let applied = client.apply(&object, revision, &request_id()?).await;
        revision = applied.context("a write failed")?.stored.revision;
        acknowledged();
    }
    Ok(())
}
