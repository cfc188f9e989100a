//! Models on disk and where they come from: the catalogue, the hub, the download, the setting that chooses one.
//!
//! It knows the network, the models folder and `config.toml`; it prints nothing and knows no daemon.

pub mod catalogue;
pub mod check;
pub mod download;
mod error;
mod flow;
pub mod folder;
mod forward;
mod head;
pub mod hub;
pub mod lock;
mod part;
mod proxy;
pub mod reference;
pub mod setting;
mod tries;
mod url;

pub use error::ModelError;
pub use url::shown as url_shown;
