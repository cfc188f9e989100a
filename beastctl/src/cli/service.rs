//! `service`: its commands.

use clap::Subcommand;

/// Commands for the service.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Let systemd or launchd listen on the socket and start beastd on the first request.
    #[command(after_help = "\
Linux: systemd user units. macOS: a launchd agent. Settings stay in the configuration file.
To keep it running after logout on Linux: loginctl enable-linger.

Examples:
  beastctl service install
  beastctl service install --socket ~/beast.sock")]
    Install {
        /// Replace a file that beastctl did not write; keeps a copy beside it.
        #[arg(long)]
        force: bool,
    },
    /// Remove the service after running requests finish.
    #[command(after_help = "Examples:\n  beastctl service uninstall")]
    Uninstall,
    /// Listen again after `stop`; the first request starts beastd.
    #[command(after_help = "Examples:\n  beastctl service start")]
    Start,
    /// Stop beastd after running requests finish; do not listen until `start` or the next login.
    #[command(after_help = "Examples:\n  beastctl service stop")]
    Stop,
    /// Restart beastd after running requests finish; new requests wait.
    #[command(after_help = "Examples:\n  beastctl service restart")]
    Restart,
    /// Show whether the service is installed and running: exits with 0 if it listens, else 3.
    #[command(after_help = "Examples:\n  beastctl service status\n  beastctl service status --json | jq .state")]
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}
