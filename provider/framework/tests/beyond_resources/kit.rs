//! A provider of one thing of each kind, which shows every behaviour by the name that it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use terraform_plugin::{
    Action, Arguments, Attr, Cx, DeferReason, Diagnostic, Diagnostics, Empty, EphemeralResource,
    Failure, Field, Function, FunctionError, Model, Provider, Registry, Resource, Signature,
    StateStore, Value, async_trait,
};
use tokio::sync::Notify;

pub(crate) struct Kit(pub(crate) Arc<Signals>);

#[derive(Default)]
pub(crate) struct Signals {
    /// Something waits to be told to stop.
    pub(crate) started: Notify,
    /// Something that was told to stop, or that nobody listens to, is done.
    pub(crate) ended: Notify,
    /// What was given back.
    pub(crate) closed: Mutex<Vec<String>>,
}

#[derive(Model)]
pub(crate) struct TokenModel {
    #[attribute(required, validate = no_space)]
    pub(crate) name: Attr<String>,
    #[attribute(computed, sensitive)]
    pub(crate) token: Attr<String>,
}

pub(crate) struct Token;

#[async_trait]
impl EphemeralResource for Token {
    type Client = Arc<Signals>;
    type Model = TokenModel;
    const TYPE_NAME: &'static str = "kit_token";

    async fn open(
        &self,
        cx: &Cx<Arc<Signals>>,
        config: TokenModel,
    ) -> Result<TokenModel, Diagnostics> {
        let name = config.name.clone().unwrap_or_default();
        match name.as_str() {
            "deferred" => cx.defer(DeferReason::AbsentPrerequisite)?,
            "panic" => panic!("a mistake of the author"),
            _ => {}
        }
        let token = if name == "half" {
            Attr::Unknown
        } else {
            format!("token of {name}").into()
        };
        cx.set_private("name", name);
        cx.renew_at(UNIX_EPOCH + Duration::from_secs(1000));
        Ok(TokenModel { token, ..config })
    }

    async fn renew(&self, cx: &Cx<Arc<Signals>>) -> Result<(), Diagnostics> {
        let name = cx.private("name").unwrap_or_default();
        cx.set_private("name", [&name, b" again".as_slice()].concat());
        cx.renew_at(UNIX_EPOCH + Duration::from_secs(2000));
        Ok(())
    }

    async fn close(&self, cx: &Cx<Arc<Signals>>) -> Result<(), Diagnostics> {
        let name = String::from_utf8(cx.private("name").unwrap_or_default()).unwrap();
        cx.client()?.closed.lock().unwrap().push(name);
        Ok(())
    }
}

/// Asks to be renewed and can't be.
pub(crate) struct Careless;

#[async_trait]
impl EphemeralResource for Careless {
    type Client = Arc<Signals>;
    type Model = Empty;
    const TYPE_NAME: &'static str = "kit_careless";

    async fn open(&self, cx: &Cx<Arc<Signals>>, config: Empty) -> Result<Empty, Diagnostics> {
        cx.renew_at(UNIX_EPOCH);
        Ok(config)
    }
}

#[derive(Model)]
pub(crate) struct RestartModel {
    #[attribute(required, validate = no_space)]
    pub(crate) name: Attr<String>,
}

pub(crate) struct Restart;

#[async_trait]
impl Action for Restart {
    type Client = Arc<Signals>;
    type Model = RestartModel;
    const TYPE_NAME: &'static str = "kit_restart";

    async fn plan(&self, cx: &Cx<Arc<Signals>>, config: &RestartModel) -> Result<(), Diagnostics> {
        match config.name.as_deref() {
            Attr::Unknown => cx.defer(DeferReason::ResourceConfigUnknown),
            Attr::Known("impossible") => Err(Diagnostic::error("Unable to restart", "").into()),
            _ => Ok(()),
        }
    }

    async fn invoke(&self, cx: &Cx<Arc<Signals>>, config: RestartModel) -> Result<(), Diagnostics> {
        let client = cx.client()?;
        cx.progress("it stops");
        match config.name.clone().unwrap_or_default().as_str() {
            "failing" => {
                cx.warn("It was slow", "It always is.");
                return Err(Diagnostic::error("Unable to start", "It is broken.").into());
            }
            "panic" => panic!("a mistake of the author"),
            "deferred" => cx.defer(DeferReason::AbsentPrerequisite)?,
            "wait" => {
                client.started.notify_one();
                cx.cancellation().cancelled().await;
                client.ended.notify_one();
                return Err(Diagnostic::error("Stopped", "It stopped and didn't start.").into());
            }
            "chatty" => {
                (0..5000).for_each(|step| cx.progress(format!("step {step}")));
                client.ended.notify_one();
            }
            _ => {}
        }
        cx.progress("it starts");
        Ok(())
    }
}

#[derive(Model)]
pub(crate) struct ShelfModel {
    #[attribute(required, validate = no_space)]
    pub(crate) name: Attr<String>,
}

pub(crate) struct Shelf;

#[derive(Default)]
pub(crate) struct Contents {
    states: Mutex<BTreeMap<String, Vec<u8>>>,
    locks: Mutex<BTreeMap<String, String>>,
}

#[async_trait]
impl StateStore for Shelf {
    type Client = Arc<Signals>;
    type Config = ShelfModel;
    type Store = Contents;
    const TYPE_NAME: &'static str = "kit_shelf";
    const STATE_BYTES_MAX: usize = 100;

    async fn configure(
        &self,
        cx: &Cx<Arc<Signals>>,
        _: ShelfModel,
    ) -> Result<Contents, Diagnostics> {
        cx.warn("A shelf", "It's made of wood.");
        Ok(Contents::default())
    }

    async fn read(
        &self,
        cx: &Cx<Arc<Signals>>,
        store: &Contents,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Diagnostics> {
        assert_ne!(id, "panic", "a mistake of the author");
        if id == "dusty" {
            cx.warn("Dusty", "Nobody was here for long.");
        }
        Ok(store.states.lock().unwrap().get(id).cloned())
    }

    async fn write(
        &self,
        _: &Cx<Arc<Signals>>,
        store: &Contents,
        id: &str,
        state: Vec<u8>,
    ) -> Result<(), Diagnostics> {
        assert_ne!(id, "panic", "a mistake of the author");
        store.states.lock().unwrap().insert(id.to_owned(), state);
        Ok(())
    }

    async fn lock(
        &self,
        _: &Cx<Arc<Signals>>,
        store: &Contents,
        id: &str,
        operation: &str,
    ) -> Result<String, Diagnostics> {
        if operation == "nameless" {
            return Ok(String::new());
        }
        let mut locks = store.locks.lock().unwrap();
        if let Some(holder) = locks.get(id) {
            return Err(Diagnostic::error("The state is locked", holder).into());
        }
        let lock_id = format!("{id} for {operation}");
        locks.insert(id.to_owned(), lock_id.clone());
        Ok(lock_id)
    }

    async fn unlock(
        &self,
        _: &Cx<Arc<Signals>>,
        store: &Contents,
        id: &str,
        lock_id: &str,
    ) -> Result<(), Diagnostics> {
        let mut locks = store.locks.lock().unwrap();
        if locks.get(id).is_none_or(|held| held != lock_id) {
            return Err(Diagnostic::error("Another lock is held", "").into());
        }
        locks.remove(id);
        Ok(())
    }

    async fn states(
        &self,
        _: &Cx<Arc<Signals>>,
        store: &Contents,
    ) -> Result<Vec<String>, Diagnostics> {
        Ok(store.states.lock().unwrap().keys().cloned().collect())
    }

    async fn delete(
        &self,
        _: &Cx<Arc<Signals>>,
        store: &Contents,
        id: &str,
    ) -> Result<(), Diagnostics> {
        store.states.lock().unwrap().remove(id);
        Ok(())
    }
}

#[derive(Model)]
pub(crate) struct MachineModel {
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    #[attribute(computed)]
    pub(crate) address: Attr<String>,
}

/// A resource whose create waits to be stopped.
pub(crate) struct Machine;

#[async_trait]
impl Resource for Machine {
    type Client = Arc<Signals>;
    type Model = MachineModel;
    const TYPE_NAME: &'static str = "kit_machine";

    async fn create(
        &self,
        cx: &Cx<Arc<Signals>>,
        mut plan: MachineModel,
    ) -> Result<MachineModel, Failure<MachineModel>> {
        plan.id = "machine/1".into();
        cx.client()?.started.notify_one();
        cx.cancellation().cancelled().await;
        let stopped = Diagnostic::error("Stopped", "The machine exists and has no address yet.");
        Err(Failure::partial(plan, stopped))
    }

    async fn read(
        &self,
        _: &Cx<Arc<Signals>>,
        state: MachineModel,
    ) -> Result<Option<MachineModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<Arc<Signals>>,
        _: MachineModel,
        plan: MachineModel,
    ) -> Result<MachineModel, Failure<MachineModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<Arc<Signals>>, _: MachineModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// Says what it was given, argument by argument.
pub(crate) struct Describe;

#[async_trait]
impl Function for Describe {
    const NAME: &'static str = "describe";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Says what it was given")
            .deprecated("Look yourself.")
            .parameter::<String>("known", "Neither null nor unknown.")
            .parameter::<Option<i64>>("nullable", "May be null.")
            .parameter::<Attr<bool>>("any", "May be null or unknown.")
            .variadic::<u8>("others", "Any number of them.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let known: String = arguments.get(0)?;
        assert_ne!(known, "panic", "a mistake of the author");
        let nullable: Option<i64> = arguments.get(1)?;
        let any: Attr<bool> = arguments.get(2)?;
        let others: Vec<u8> = arguments.rest(3)?;
        match known.as_str() {
            "number" => Ok(Value::from(7_i64)),
            "beyond" => arguments.get::<String>(99).map(Field::encode),
            _ => Ok(format!("{known} {nullable:?} {any:?} {others:?}").encode()),
        }
    }
}

#[async_trait]
impl Provider for Kit {
    type Config = Empty;
    type Client = Arc<Signals>;
    const ADDRESS: &'static str = "registry.terraform.io/example/kit";

    fn register(&self, registry: &mut Registry<Arc<Signals>>) {
        registry
            .resource(Machine)
            .ephemeral_resource(Token)
            .ephemeral_resource(Careless)
            .action(Restart)
            .state_store(Shelf)
            .function(Describe);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<Arc<Signals>, Diagnostics> {
        Ok(Arc::clone(&self.0))
    }
}

fn no_space(name: &str) -> Result<(), &'static str> {
    if name.contains(' ') {
        Err("A name has no spaces.")
    } else {
        Ok(())
    }
}
