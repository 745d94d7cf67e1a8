//! An action that writes into the log, step by step.

use terraform_plugin::{
    Action, Attr, Cx, Diagnostic, Diagnostics, Model, Path, Registry, async_trait,
};

use crate::store::Store;

/// What is shouted.
#[derive(Model)]
pub(crate) struct Shout {
    /// The words.
    #[attribute(required)]
    words: Attr<String>,
    /// How often.
    #[attribute(optional)]
    times: Attr<u64>,
    /// It fails after so many times.
    #[attribute(optional)]
    fails_after: Attr<u64>,
}

struct ShoutAction;

#[async_trait]
impl Action for ShoutAction {
    type Client = Store;
    type Model = Shout;
    const TYPE_NAME: &'static str = "corner_shout";

    async fn plan(&self, _: &Cx<Store>, config: &Shout) -> Result<(), Diagnostics> {
        if config.words.as_deref() == Attr::Known("") {
            let silent = Diagnostic::error("Nothing to shout", "Say at least one word.");
            return Err(silent.at(Path::root("words")).into());
        }
        Ok(())
    }

    async fn invoke(&self, cx: &Cx<Store>, config: Shout) -> Result<(), Diagnostics> {
        let words = config.words.unwrap_or_default();
        let times = config.times.unwrap_or(1);
        for time in 1..=times {
            if config.fails_after.as_known() == Some(&(time - 1)) {
                return Err(Diagnostic::error("Hoarse", "The voice is gone.").into());
            }
            cx.progress(format!("shout {time} of {times}"));
            cx.client()?.note(&words)?;
        }
        Ok(())
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.action(ShoutAction);
}
