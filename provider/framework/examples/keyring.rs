//! A provider of what is no resource: a token that is never stored, an action, a function and a
//! store of states. Keys are files in a folder.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use terraform_plugin::{
    Action, Arguments, Attr, Cx, Diagnostic, Diagnostics, EphemeralResource, Failure, Field,
    Function, FunctionError, Model, Provider, Registry, Resource, Signature, StateStore, Value,
    async_trait,
};

/// How long a token is good.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Where the keys are.
#[derive(Model)]
pub struct Config {
    /// The folder. The temporary folder by default.
    #[attribute(optional)]
    pub folder: Attr<String>,
}

/// A key.
#[derive(Model)]
pub struct KeyModel {
    /// The path of its file.
    #[attribute(computed, use_state_for_unknown)]
    pub id: Attr<String>,
    /// Its name.
    #[attribute(required, requires_replace)]
    pub name: Attr<String>,
    /// What opens it. It is kept in the file, and neither in the plan nor in the state.
    #[attribute(optional, write_only, sensitive)]
    pub passphrase: Attr<String>,
    /// What nobody needs to see.
    #[attribute(optional, sensitive)]
    pub hint: Attr<String>,
}

struct Key;

#[async_trait]
impl Resource for Key {
    type Client = PathBuf;
    type Model = KeyModel;
    const TYPE_NAME: &'static str = "keyring_key";

    async fn create(
        &self,
        cx: &Cx<PathBuf>,
        mut plan: KeyModel,
    ) -> Result<KeyModel, Failure<KeyModel>> {
        tracing::info!(?plan, "a key is made");
        let path = cx.client()?.join(plan.name.clone().unwrap_or_default());
        let passphrase = plan.passphrase.clone().unwrap_or_default();
        fs::write(&path, passphrase).map_err(|error| failed("write the key", &error))?;
        plan.id = path.display().to_string().into();
        Ok(plan)
    }

    async fn read(
        &self,
        _: &Cx<PathBuf>,
        state: KeyModel,
    ) -> Result<Option<KeyModel>, Diagnostics> {
        let path = PathBuf::from(state.id.clone().unwrap_or_default());
        Ok(path.exists().then_some(state))
    }

    async fn update(
        &self,
        _: &Cx<PathBuf>,
        _: KeyModel,
        plan: KeyModel,
    ) -> Result<KeyModel, Failure<KeyModel>> {
        let path = plan.id.clone().unwrap_or_default();
        let passphrase = plan.passphrase.clone().unwrap_or_default();
        fs::write(path, passphrase).map_err(|error| failed("write the key", &error))?;
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<PathBuf>, state: KeyModel) -> Result<(), Diagnostics> {
        let path = state.id.unwrap_or_default();
        fs::remove_file(path).map_err(|error| failed("delete the key", &error).into())
    }
}

/// A token, good for a minute and for as long as it is renewed.
#[derive(Model)]
pub struct TokenModel {
    /// Whose it is.
    #[attribute(required)]
    pub name: Attr<String>,
    /// The token.
    #[attribute(computed, sensitive)]
    pub token: Attr<String>,
}

struct Token;

#[async_trait]
impl EphemeralResource for Token {
    type Client = PathBuf;
    type Model = TokenModel;
    const TYPE_NAME: &'static str = "keyring_token";

    async fn open(&self, cx: &Cx<PathBuf>, config: TokenModel) -> Result<TokenModel, Diagnostics> {
        let name = config.name.clone().unwrap_or_default();
        let token = format!("t0ken-of-{name}").into();
        cx.set_private("name", name);
        cx.renew_at(SystemTime::now() + TOKEN_LIFETIME / 2);
        Ok(TokenModel { token, ..config })
    }

    async fn renew(&self, cx: &Cx<PathBuf>) -> Result<(), Diagnostics> {
        cx.renew_at(SystemTime::now() + TOKEN_LIFETIME / 2);
        Ok(())
    }

    async fn close(&self, cx: &Cx<PathBuf>) -> Result<(), Diagnostics> {
        let name = cx.private("name").unwrap_or_default();
        let closed = cx.client()?.join("closed");
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(closed);
        file.and_then(|mut file| file.write_all(&[name.as_slice(), b"\n"].concat()))
            .map_err(|error| failed("note that the token is closed", &error).into())
    }
}

/// Changes every key.
#[derive(Model)]
pub struct RotateModel {
    /// How many times.
    #[attribute(required)]
    pub rounds: Attr<u8>,
}

struct Rotate;

#[async_trait]
impl Action for Rotate {
    type Client = PathBuf;
    type Model = RotateModel;
    const TYPE_NAME: &'static str = "keyring_rotate";

    async fn invoke(&self, cx: &Cx<PathBuf>, config: RotateModel) -> Result<(), Diagnostics> {
        let rounds = config.rounds.unwrap_or_default();
        for round in 1..=rounds {
            if cx.cancellation().is_cancelled() {
                let detail = format!("It stopped before round {round} of {rounds}.");
                return Err(Diagnostic::error("Stopped", detail).into());
            }
            cx.progress(format!("round {round} of {rounds}"));
        }
        let rotated = cx.client()?.join("rotated");
        fs::write(rotated, rounds.to_string())
            .map_err(|error| failed("note the rotation", &error).into())
    }
}

struct Mask;

#[async_trait]
impl Function for Mask {
    const NAME: &'static str = "mask";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Shows the last letters of a text only")
            .parameter::<Option<String>>("text", "What to mask; null is an empty text.")
            .variadic::<u8>("visible", "How many letters stay, one by default.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let text: Option<String> = arguments.get(0)?;
        let visible = match arguments.rest::<u8>(1)?.as_slice() {
            [] => 1,
            [visible] => usize::from(*visible),
            _ => return Err(FunctionError::at(2, "Say it once.")),
        };
        let letters: Vec<char> = text.unwrap_or_default().chars().collect();
        let hidden = letters.len().saturating_sub(visible);
        let masked = letters
            .iter()
            .enumerate()
            .map(|(index, letter)| match index < hidden {
                true => '*',
                false => *letter,
            });
        Ok(masked.collect::<String>().encode())
    }
}

/// Keeps states as files.
#[derive(Model)]
pub struct ShelfModel {
    /// The folder, which has to exist.
    #[attribute(required)]
    pub folder: Attr<String>,
}

struct Shelf;

#[async_trait]
impl StateStore for Shelf {
    type Client = PathBuf;
    type Config = ShelfModel;
    type Store = PathBuf;
    const TYPE_NAME: &'static str = "keyring_shelf";

    async fn configure(&self, _: &Cx<PathBuf>, config: ShelfModel) -> Result<PathBuf, Diagnostics> {
        Ok(config.folder.unwrap_or_default().into())
    }

    async fn read(
        &self,
        _: &Cx<PathBuf>,
        store: &PathBuf,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Diagnostics> {
        match fs::read(file(store, id, "tfstate")?) {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read the state", &error).into()),
        }
    }

    async fn write(
        &self,
        _: &Cx<PathBuf>,
        store: &PathBuf,
        id: &str,
        state: Vec<u8>,
    ) -> Result<(), Diagnostics> {
        let written = fs::write(file(store, id, "tfstate")?, state);
        written.map_err(|error| failed("write the state", &error).into())
    }

    async fn lock(
        &self,
        _: &Cx<PathBuf>,
        store: &PathBuf,
        id: &str,
        operation: &str,
    ) -> Result<String, Diagnostics> {
        let lock = file(store, id, "lock")?;
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&lock);
        made.and_then(|mut made| made.write_all(operation.as_bytes()))
            .map_err(|error| failed("take the lock", &error))?;
        Ok(lock.display().to_string())
    }

    async fn unlock(
        &self,
        _: &Cx<PathBuf>,
        store: &PathBuf,
        id: &str,
        lock_id: &str,
    ) -> Result<(), Diagnostics> {
        let lock = file(store, id, "lock")?;
        if lock.display().to_string() != lock_id {
            return Err(Diagnostic::error("Unable to unlock", "Another lock is held.").into());
        }
        fs::remove_file(lock).map_err(|error| failed("give the lock back", &error).into())
    }

    async fn states(&self, _: &Cx<PathBuf>, store: &PathBuf) -> Result<Vec<String>, Diagnostics> {
        let entries = fs::read_dir(store).map_err(|error| failed("list the states", &error))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names
            .filter_map(|name| name.strip_suffix(".tfstate").map(str::to_owned))
            .collect())
    }

    async fn delete(&self, _: &Cx<PathBuf>, store: &PathBuf, id: &str) -> Result<(), Diagnostics> {
        match fs::remove_file(file(store, id, "tfstate")?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("delete the state", &error).into())
            }
            _ => Ok(()),
        }
    }
}

struct Keyring;

#[async_trait]
impl Provider for Keyring {
    type Config = Config;
    type Client = PathBuf;
    const ADDRESS: &'static str = "registry.terraform.io/example/keyring";

    fn register(&self, registry: &mut Registry<PathBuf>) {
        registry
            .resource(Key)
            .ephemeral_resource(Token)
            .action(Rotate)
            .function(Mask)
            .state_store(Shelf);
    }

    async fn configure(&self, _: &Cx<()>, config: Config) -> Result<PathBuf, Diagnostics> {
        let folder = config.folder.into_known();
        Ok(folder.map_or_else(env::temp_dir, PathBuf::from))
    }
}

fn main() -> ExitCode {
    terraform_plugin::run(Keyring)
}

/// A file of a state. An id comes from outside, and must not lead out of the folder.
fn file(store: &Path, id: &str, extension: &str) -> Result<PathBuf, Diagnostics> {
    if id.contains(['/', '\\', '.']) {
        return Err(Diagnostic::error("Invalid workspace", "Its name has a / or a dot.").into());
    }
    Ok(store.join(format!("{id}.{extension}")))
}

fn failed(what: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("Unable to {what}"), error.to_string())
}
