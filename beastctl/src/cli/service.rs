//! `service`: what can be typed.

use clap::Subcommand;

/// What is to be done with the service.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Let the system listen in the place of beastd from now on, and start it at the first request.
    #[command(after_help = "\
Linux: two units of systemd for this user. macOS: an agent of launchd. Settings stay in the configuration file.
To go on after a logout on Linux: loginctl enable-linger.

Examples:
  beastctl service install
  beastctl service install --socket ~/beast.sock")]
    Install {
        /// Also in place of a file that somebody else has written; a copy is kept beside it.
        #[arg(long)]
        force: bool,
    },
    /// Finish the running requests and take the service away.
    #[command(after_help = "Examples:\n  beastctl service uninstall")]
    Uninstall,
    /// Listen again after `stop`; the first request starts beastd.
    #[command(after_help = "Examples:\n  beastctl service start")]
    Start,
    /// Finish the running requests, end beastd, and do not listen until `start` or the next login.
    #[command(after_help = "Examples:\n  beastctl service stop")]
    Stop,
    /// Finish the running requests, then start beastd anew; requests that come meanwhile wait.
    #[command(after_help = "Examples:\n  beastctl service restart")]
    Restart,
    /// Show whether the service is installed and runs: exit code 0 when it listens, else 3.
    #[command(after_help = "Examples:\n  beastctl service status\n  beastctl service status --json | jq .state")]
    Status {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}
