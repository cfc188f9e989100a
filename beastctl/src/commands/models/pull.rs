//! `models pull`: resolves a name, downloads the model if needed, prints its path.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    cli::PullOptions,
    context::Context,
    exit::{During as _, FileError, READ, Result},
    models::{
        ModelError,
        catalogue::{self, Entry},
        check,
        download::{Means, Patience, Report, Wanted, download},
        folder::{self, Record},
        hub::{self, Hub},
        lock::Lock,
        reference::{self, Reference, What},
        url_shown,
    },
    output::{Console, Progress, Transfer, one_line, units::bytes},
    wait::Wait,
};

pub(super) fn run(context: &Context, options: &PullOptions) -> Result<()> {
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let path = Puller::new(context.console, options, &wait).pull(reference::parse(&options.name)?)?;
    Ok(context.console.print(&format!("{}\n", path.display()))?)
}

fn here(path: PathBuf, options: &PullOptions, wait: &Wait) -> Result<PathBuf> {
    if options.file.is_some() {
        let what = format!("--name applies to downloads, but {} is already on disk", path.display());
        return Err(ModelError::Usage { what, hint: "leave out --name".into() }.into());
    }
    check::gguf(&path)?;
    if let Some(wanted) = &options.sha256 {
        let found = check::sha256(&path, |_| Ok(wait.pause(Duration::ZERO)?))?;
        if found != *wanted {
            return Err(ModelError::OtherHash { path, found, wanted: wanted.clone() }.into());
        }
    }
    Ok(std::path::absolute(path)?)
}

struct Puller<'a> {
    console: Console,
    options: &'a PullOptions,
    wait: &'a Wait,
    hub: Hub,
}

impl<'a> Puller<'a> {
    fn new(console: Console, options: &'a PullOptions, wait: &'a Wait) -> Self {
        Self { console, options, wait, hub: Hub::of_environment() }
    }

    fn pull(&self, reference: Reference) -> Result<PathBuf> {
        match reference {
            Reference::Entry(entry) => self.of_entry(*entry),
            Reference::Repo { repo, what } => self.of_repo(&repo, &what, None),
            Reference::Url(url) => {
                let file = self.file_name(&url)?;
                self.fetch(Wanted { url, ..Wanted::default() }, &file)
            }
            Reference::Path(path) => here(path, self.options, self.wait),
        }
    }

    fn of_entry(&self, entry: Entry) -> Result<PathBuf> {
        let Entry { repo, file, licence, licence_url, draft, .. } = entry;
        let path = self.of_repo(&repo, &What::File(file), Some(format!("{licence}, {licence_url}")))?;
        let is_missing =
            |draft: &String| !matches!(folder::find(&folder::dir().unwrap_or_default(), draft), Ok(Some(_)));
        if let Some(draft) = draft.filter(is_missing) {
            self.console.info(&format!(
                "for speculative decoding on a GPU, pull its draft model: beastctl models pull {draft}"
            ));
        }
        Ok(path)
    }

    /// A file of a repository: from this disk if possible, otherwise chosen from the hub's list, unless the name
    /// gives its path.
    fn of_repo(&self, repo: &str, what: &What, licence: Option<String>) -> Result<PathBuf> {
        if let Some(path) = self.kept(repo, what)? {
            return Ok(path);
        }
        if let Some((path, file)) = hub::cached(repo, what)
            && let Some(path) = self.adopt(&path, &self.hub.file_url(repo, &file), licence.clone())?
        {
            return Ok(path);
        }
        self.refuse_offline(&self.options.name)?;
        let (file, licence) = match (what, licence) {
            (What::File(file), Some(licence)) => (file.clone(), Some(licence)),
            _ => {
                let listing = self.hub.listing(repo, &mut self.means(&mut |_| {}))?;
                (hub::choose(repo, &listing.files, what)?, listing.licence)
            }
        };
        let (url, page) = (self.hub.file_url(repo, &file), Some(self.hub.page(repo)));
        let file = self.file_name(&url)?;
        self.fetch(Wanted { url, page, licence, sha256: None }, &file)
    }

    /// A file in the models folder that came from this repository, through this endpoint or the hub's own. Only the
    /// hub knows which file a quantization means, so the folder is searched for one only offline.
    fn kept(&self, repo: &str, what: &What) -> Result<Option<PathBuf>> {
        let is_clear = self.options.offline || matches!(what, What::File(_));
        if !is_clear || self.options.sha256.is_some() || self.options.file.is_some() {
            return Ok(None);
        }
        let locals = folder::list(&folder::dir()?)?;
        let mut files: Vec<(String, &PathBuf)> = Vec::new();
        for local in &locals {
            let name = match folder::record(&local.path) {
                Some(record) => self.hub.name_in(repo, &record.url),
                // Put there by hand under its name in the catalogue.
                None => self.is_named(&local.path)?.then(|| local.file.clone()),
            };
            files.extend(name.map(|name| (name, &local.path)));
        }
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let Ok(chosen) = hub::choose(repo, &names, what) else { return Ok(None) };
        let path = files.into_iter().find(|(file, _)| *file == chosen).map(|(_, path)| path.clone());
        path.as_deref().map_or(Ok(()), check::gguf)?;
        Ok(path)
    }

    fn progress(&self) -> Progress<io::Stderr> {
        Progress::new(io::stderr(), self.console.shows_progress(), Instant::now())
    }

    fn file_name(&self, url: &str) -> Result<String> {
        if let Some(file) = &self.options.file {
            folder::check_name(file)?;
            return Ok(file.clone());
        }
        Ok(folder::name_of(url)?)
    }

    fn refuse_offline(&self, name: &str) -> Result<(), ModelError> {
        if self.options.offline { Err(ModelError::Offline(one_line(name))) } else { Ok(()) }
    }

    fn means<'m>(&'m self, report: &'m mut dyn FnMut(Report)) -> Means<'m> {
        let patience = Patience { n_tries: self.options.retries, ..Patience::default() };
        Means { hub: &self.hub, wait: self.wait, patience, report }
    }

    /// Uses a file that the hub's own programs have downloaded. A damaged one is ignored.
    fn adopt(&self, path: &Path, url: &str, licence: Option<String>) -> Result<Option<PathBuf>> {
        let target = folder::dir()?.join(self.file_name(url)?);
        if target.is_file() {
            return self.there(&target, url, licence).map(Some);
        }
        let expected = self.options.sha256.clone().or_else(|| hub::cached_hash(path));
        if let Some(expected) = &expected {
            let total = fs::metadata(path)?.len();
            let mut transfer = Transfer::new("checking", &path.file_name().unwrap_or_default().to_string_lossy());
            let mut progress = self.progress();
            let found = check::sha256(path, |done| {
                let now = Instant::now();
                progress.set(transfer.text(done, Some(total), now), now);
                Ok(self.wait.pause(Duration::ZERO)?)
            });
            progress.erase();
            if found? != *expected {
                self.console.warning(&format!("{} is damaged and will not be used", path.display()));
                return Ok(None);
            }
        }
        make_folder(&target)?;
        let _lock = Lock::take(&target)?;
        folder::keep(&target, &Record::new(url, expected, licence))?;
        folder::link(path, &target)?;
        self.console.info(&format!("already in the Hugging Face cache: {}", path.display()));
        Ok(Some(target))
    }

    /// Downloads `wanted`; `file` is its name in the models folder.
    fn fetch(&self, wanted: Wanted, file: &str) -> Result<PathBuf> {
        let target = folder::dir()?.join(file);
        if target.is_dir() {
            // Reported now and not after gigabytes have been downloaded.
            return Err(ModelError::Folder(target).into());
        }
        if target.is_file() {
            return self.there(&target, &wanted.url, wanted.licence);
        }
        self.refuse_offline(file)?;
        make_folder(&target)?;
        let _lock = Lock::take(&target)?;
        // Another beastctl may have finished it meanwhile.
        if target.is_file() {
            return self.there(&target, &wanted.url, wanted.licence);
        }
        let licence = wanted.licence.as_deref().unwrap_or("not known");
        self.console.info(&format!("{file} from {}; licence: {licence}", url_shown(&wanted.url)));
        let wanted = Wanted { sha256: self.options.sha256.clone(), ..wanted };
        let sha256 = self.download(&wanted, &target, file).inspect_err(|error| {
            if let (ModelError::Wait(_), Some(n)) = (error, folder::partial(&target)) {
                let n = bytes(n);
                self.console.info(&format!("{n} of {file} downloaded and kept; repeat the command to resume"));
            }
        })?;
        if sha256.is_none() {
            self.console.warning(&format!("{file} is not verified: no hash is known; pass one with --sha256 HEX"));
        }
        Ok(target)
    }

    fn download(&self, wanted: &Wanted, target: &Path, file: &str) -> Result<Option<String>, ModelError> {
        let (mut pulling, mut checking) = (Transfer::new("pulling", file), Transfer::new("checking", file));
        let console = self.console;
        let mut progress = self.progress();
        let mut report = |report: Report| {
            let now = Instant::now();
            match report {
                Report::Bytes { done, total } => progress.set(pulling.text(done, total, now), now),
                Report::Checked { done, total } => progress.set(checking.text(done, Some(total), now), now),
                Report::Pause(reason, pause) => {
                    let pause = humantime::format_duration(pause);
                    progress.set(format!("{}: {}; retrying in {pause}", file, one_line(&reason)), now);
                }
                Report::Anew(why) => {
                    progress.erase();
                    console.warning(&format!("restarting {file}: {why}"));
                }
            }
        };
        let fetched = download(wanted, target, &mut self.means(&mut report));
        progress.erase();
        fetched
    }

    /// The existing file of this name, if it is the requested one and not from elsewhere.
    fn there(&self, target: &Path, url: &str, licence: Option<String>) -> Result<PathBuf> {
        let record = folder::record(target);
        let is_it = record.as_ref().is_some_and(|record| record.is_of(url));
        if let Some(wanted) = &self.options.sha256 {
            let found = check::sha256(target, |_| Ok(self.wait.pause(Duration::ZERO)?))?;
            if found != *wanted {
                return Err(ModelError::Taken(target.into()).into());
            }
            folder::keep(target, &Record::new(url, Some(found), licence))?;
        } else if !is_it && (record.is_some() || !self.is_named(target)?) {
            return Err(ModelError::Taken(target.into()).into());
        }
        check::gguf(target)?;
        self.console.info("already on disk");
        Ok(target.into())
    }

    /// Whether a file that was put there by hand is the model of that name in the catalogue, which its length decides.
    fn is_named(&self, target: &Path) -> Result<bool, ModelError> {
        let entry = target.file_name().and_then(|name| catalogue::of_file(name.to_str()?));
        let Some(entry) = entry.filter(|entry| entry.name.eq_ignore_ascii_case(&self.options.name)) else {
            return Ok(false);
        };
        check::gguf(target)?;
        let n_bytes = fs::metadata(target).map_err(FileError::of(READ, target))?.len();
        if !entry.approximate && n_bytes < entry.bytes {
            return Err(ModelError::Cut { path: target.into(), n_bytes, needed: Some(entry.bytes) });
        }
        Ok(entry.approximate || n_bytes == entry.bytes)
    }
}

fn make_folder(target: &Path) -> Result<(), FileError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FileError::of("make", folder))
}
