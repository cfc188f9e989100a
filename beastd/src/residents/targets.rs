//! Which model a request means.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use beast_protocol::{ErrorCode, WireError};
use tokio::task::spawn_blocking;

use super::plan::{Bytes, Presence};
use super::resident::Named;
use super::{Resident, Residents, spawn};
use crate::config::Config;
use crate::loader::{Progress, Ties, need};
use crate::metrics::Metrics;
use crate::model_file::names::{self, FileId, NameError};

/// Most models that are remembered. The one that was used last long ago makes room.
const MAX_MODELS: usize = 64;

impl Residents {
    /// The model of this name, or the default one. It need not be loaded.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] for an unknown name, [`ErrorCode::ModelUnavailable`] for a model that is not on disk.
    pub async fn target(self: &Arc<Self>, model: Option<&str>) -> Result<Arc<Resident>, WireError> {
        let Some(name) = model else { return self.default_target().await };
        let aliases = self.config().aliases();
        let word = name.to_owned();
        let resolved = off_thread(move || names::resolve(&word, &aliases)).await?;
        match resolved {
            Ok(setting) => self.of_setting(setting).await,
            // A loaded model may also be called by the name in its file.
            Err(error) => match error {
                NameError::Unknown { .. } => self.called(name).ok_or_else(|| refusal(&error)),
                error => Err(refusal(&error)),
            },
        }
    }

    /// The value of the setting `model` for a name that was found.
    pub fn setting_of(&self, name: &str) -> String {
        names::resolve(name, &self.config().aliases()).unwrap_or_else(|_| name.to_owned())
    }

    /// The model that calls itself so in its file.
    pub fn called(&self, name: &str) -> Option<Arc<Resident>> {
        let is_it = |resident: &Arc<Resident>| {
            resident.facts().is_some_and(|facts| facts.model.name.eq_ignore_ascii_case(name))
        };
        let default = self.default_model();
        if is_it(&default) { Some(default) } else { self.all().into_iter().find(is_it) }
    }

    /// The model that a name means, among those that were asked for.
    pub fn by_name(&self, name: &str) -> Option<Arc<Resident>> {
        let id = names::resolve(name, &self.config().aliases()).ok().map(|setting| FileId::of(&setting));
        id.and_then(|id| self.find(&id)).or_else(|| self.called(name))
    }

    async fn default_target(self: &Arc<Self>) -> Result<Arc<Resident>, WireError> {
        let default = self.default_model();
        if !default.is_unloaded() {
            return Ok(default);
        }
        // `auto` may mean another file by now.
        let resident = self.of_setting(self.config().model.clone()).await?;
        self.lock().default = Arc::clone(&resident);
        Ok(resident)
    }

    async fn of_setting(self: &Arc<Self>, setting: String) -> Result<Arc<Resident>, WireError> {
        let identified = setting.clone();
        let id = off_thread(move || FileId::of(&identified)).await?;
        if let Some(resident) = self.find(&id) {
            return Ok(resident);
        }
        let config = settings(&self.config(), &setting);
        let bytes = off_thread(move || need::estimate(&config)).await?;
        let named = Named { name: names::label(&setting), setting: names::lasting(&setting), id };
        self.add(named, bytes)
    }

    fn find(&self, id: &FileId) -> Option<Arc<Resident>> {
        self.lock().all.iter().find(|resident| resident.is_of(id)).cloned()
    }

    /// Adds a model, unless another request did so meanwhile.
    fn add(self: &Arc<Self>, named: Named, bytes: Bytes) -> Result<Arc<Resident>, WireError> {
        if let Some(resident) = self.find(&named.id) {
            return Ok(resident);
        }
        self.forget_one()?;
        let progress = Progress::unloaded();
        let ties = Ties { progress, metrics: Arc::new(Metrics::default()), crowd: self.crowd.clone() };
        let (resident, ended) = spawn(named, None, ties, bytes);
        self.watch_worker(ended);
        let mut table = self.lock();
        table.all.push(Arc::clone(&resident));
        // The file of a pinned model may be new.
        table.pinned = pinned(&self.config());
        drop(table);
        Ok(resident)
    }

    /// Forgets an unloaded model if there are too many; its thread ends.
    fn forget_one(&self) -> Result<(), WireError> {
        let mut table = self.lock();
        if table.all.len() < MAX_MODELS {
            return Ok(());
        }
        let is_free = |resident: &&Arc<Resident>| {
            let is_waited_for = table.waiting.iter().any(|one| Arc::ptr_eq(&one.resident, resident));
            let is_absent = resident.presence() == Presence::Absent;
            is_absent && !is_waited_for && !Arc::ptr_eq(resident, &table.default)
        };
        let oldest = table.all.iter().filter(is_free).min_by_key(|resident| resident.used_us.load(Relaxed)).cloned();
        let Some(oldest) = oldest else {
            let text = format!("too many models at once: {MAX_MODELS}; try: repeat the request in a moment");
            return Err(WireError::new(ErrorCode::Overloaded, text));
        };
        table.all.retain(|resident| !Arc::ptr_eq(resident, &oldest));
        Ok(())
    }
}

/// The settings for loading a model that is not the configured one: a draft model is configured for one main model.
pub(super) fn settings(config: &Config, setting: &str) -> Arc<Config> {
    Arc::new(Config { model: setting.to_owned(), draft: "auto".into(), ..config.clone() })
}

/// The names of the pinned models.
pub(super) fn pinned(config: &Config) -> Vec<String> {
    let aliases = config.aliases();
    let label =
        |name: &str| names::resolve(name, &aliases).map_or_else(|_| name.to_owned(), |setting| names::label(&setting));
    config.pinned().map(label).collect()
}

pub(super) fn is_pinned(resident: &Resident, pinned: &[String]) -> bool {
    pinned.contains(&resident.name)
}

/// Runs work that reads files off the sockets' thread.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, WireError> {
    spawn_blocking(work).await.map_err(|error| {
        let text = format!("cannot look for the model: {error}; try: repeat the request");
        WireError::new(ErrorCode::Internal, text)
    })
}

fn refusal(error: &NameError) -> WireError {
    let code = match error {
        NameError::Unknown { .. } | NameError::AliasOf { .. } => ErrorCode::Invalid,
        NameError::Absent { .. } | NameError::NoFile(_) => ErrorCode::ModelUnavailable,
    };
    WireError::new(code, error.to_string())
}
