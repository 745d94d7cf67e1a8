//! A whole provider: one resource, a note kept as a file in a folder.

use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Failure, Model, Path, Provider, Registry, Resource,
    async_trait,
};

/// Keeps notes as files.
#[derive(Model)]
pub struct Config {
    /// The folder that holds the notes. The temporary folder by default.
    #[attribute(optional)]
    pub folder: Attr<String>,
}

/// One note.
#[derive(Model)]
pub struct NoteModel {
    /// The path of the file.
    #[attribute(computed, use_state_for_unknown)]
    pub id: Attr<String>,
    /// The name of the file.
    #[attribute(required, requires_replace, validate = file_name)]
    pub name: Attr<String>,
    /// What the note says.
    #[attribute(optional, computed, default = "")]
    pub content: Attr<String>,
    /// How long the note is, in bytes.
    #[attribute(computed)]
    pub length: Attr<u64>,
}

struct Note;

#[async_trait]
impl Resource for Note {
    type Client = PathBuf;
    type Model = NoteModel;
    const TYPE_NAME: &'static str = "notes_note";

    async fn create(
        &self,
        cx: &Cx<PathBuf>,
        plan: NoteModel,
    ) -> Result<NoteModel, Failure<NoteModel>> {
        let name = plan.name.as_known().map(String::as_str).unwrap_or_default();
        let path = cx.client()?.join(name);
        Ok(write(&path, plan)?)
    }

    async fn read(
        &self,
        _: &Cx<PathBuf>,
        mut state: NoteModel,
    ) -> Result<Option<NoteModel>, Diagnostics> {
        let path = state.id.as_known().map(PathBuf::from).unwrap_or_default();
        match fs::read_to_string(&path) {
            Ok(content) => {
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                state.name = name.into();
                state.length = (content.len() as u64).into();
                state.content = content.into();
                Ok(Some(state))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unable("read", &path, &error).into()),
        }
    }

    async fn update(
        &self,
        _: &Cx<PathBuf>,
        prior: NoteModel,
        plan: NoteModel,
    ) -> Result<NoteModel, Failure<NoteModel>> {
        let path = prior.id.into_known().map(PathBuf::from).unwrap_or_default();
        Ok(write(&path, plan)?)
    }

    async fn delete(&self, _: &Cx<PathBuf>, state: NoteModel) -> Result<(), Diagnostics> {
        let path = state.id.into_known().map(PathBuf::from).unwrap_or_default();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unable("delete", &path, &error).into())
            }
            _ => Ok(()),
        }
    }

    async fn import(&self, _: &Cx<PathBuf>, id: &str) -> Result<NoteModel, Diagnostics> {
        let (name, content, length) = (Attr::Null, Attr::Null, Attr::Null);
        Ok(NoteModel {
            id: id.into(),
            name,
            content,
            length,
        })
    }
}

struct Notes;

#[async_trait]
impl Provider for Notes {
    type Config = Config;
    type Client = PathBuf;
    const ADDRESS: &'static str = "registry.terraform.io/example/notes";

    fn register(&self, registry: &mut Registry<PathBuf>) {
        registry.resource(Note);
    }

    async fn configure(&self, _: &Cx<()>, config: Config) -> Result<PathBuf, Diagnostics> {
        Ok(config
            .folder
            .into_known()
            .map_or_else(std::env::temp_dir, PathBuf::from))
    }
}

fn main() -> ExitCode {
    terraform_plugin::run(Notes)
}

fn file_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('/') {
        return Err("A name is not empty and has no slash.".to_owned());
    }
    Ok(())
}

fn write(path: &FilePath, mut note: NoteModel) -> Result<NoteModel, Diagnostic> {
    let content = note
        .content
        .as_known()
        .map(String::as_str)
        .unwrap_or_default();
    fs::write(path, content).map_err(|error| unable("write", path, &error))?;
    note.length = (content.len() as u64).into();
    note.id = path.display().to_string().into();
    Ok(note)
}

fn unable(action: &str, path: &FilePath, error: &io::Error) -> Diagnostic {
    let summary = format!("Unable to {action} note");
    Diagnostic::error(summary, format!("{}: {error}", path.display())).at(Path::root("name"))
}
