//! A whole provider: one resource, a note kept as a file in a folder, which `terraform query` finds
//! and which is imported by its name.

use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Failure, Found, ListQuery, ListResource, Model, Path,
    Provider, Registry, Resource, async_trait,
};

/// Keeps notes as files.
#[derive(Model)]
pub struct Config {
    /// The folder that holds the notes. The temporary folder by default.
    #[attribute(optional)]
    pub folder: Attr<String>,
}

/// One note.
#[derive(Model, Default)]
pub struct NoteModel {
    /// The path of the file.
    #[attribute(computed, use_state_for_unknown)]
    pub id: Attr<String>,
    /// The name of the file.
    #[attribute(required, requires_replace, identity, validate = file_name)]
    pub name: Attr<String>,
    /// What the note says.
    #[attribute(optional, computed, default = "")]
    pub content: Attr<String>,
    /// How long the note is, in bytes.
    #[attribute(computed)]
    pub length: Attr<u64>,
}

impl NoteModel {
    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
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
        cx: &Cx<PathBuf>,
        mut state: NoteModel,
    ) -> Result<Option<NoteModel>, Diagnostics> {
        state.id = Attr::Null;
        match read(cx.client()?, state) {
            Ok(note) => Ok(note.id.is_known().then_some(note)),
            Err(diagnostic) => Err(diagnostic.into()),
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
}

/// Which notes to find.
#[derive(Model)]
pub struct ListConfig {
    /// How the names of the notes begin.
    #[attribute(optional)]
    pub prefix: Attr<String>,
}

struct NoteList;

#[async_trait]
impl ListResource for NoteList {
    type Client = PathBuf;
    type Config = ListConfig;
    type Resource = Note;

    async fn list(
        &self,
        cx: &Cx<PathBuf>,
        query: ListQuery<ListConfig>,
        found: &mut Found<NoteModel>,
    ) -> Result<(), Diagnostics> {
        let folder = cx.client()?;
        let prefix = query.config.prefix.unwrap_or_default();
        let entries = fs::read_dir(folder).map_err(|error| unable("list", folder, &error))?;
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) {
                let note = read(folder, NoteModel::named(&name))?;
                found.push(name, note).await?;
            }
        }
        Ok(())
    }
}

struct Notes;

#[async_trait]
impl Provider for Notes {
    type Config = Config;
    type Client = PathBuf;
    const ADDRESS: &'static str = "registry.terraform.io/example/notes";

    fn register(&self, registry: &mut Registry<PathBuf>) {
        registry.resource(Note).list_resource(NoteList);
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

/// The note as its file is now; without an id where there is none.
fn read(folder: &FilePath, mut note: NoteModel) -> Result<NoteModel, Diagnostic> {
    let path = folder.join(note.name.as_known().map(String::as_str).unwrap_or_default());
    match fs::read_to_string(&path) {
        Ok(content) => {
            note.id = path.display().to_string().into();
            note.length = (content.len() as u64).into();
            note.content = content.into();
            Ok(note)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(note),
        Err(error) => Err(unable("read", &path, &error)),
    }
}

fn unable(action: &str, path: &FilePath, error: &io::Error) -> Diagnostic {
    let summary = format!("Unable to {action} note");
    Diagnostic::error(summary, format!("{}: {error}", path.display())).at(Path::root("name"))
}
