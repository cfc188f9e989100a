//! `beastctl bench`: benchmarks this machine on separate daemons, so that the user's daemon and its files are not
//! touched.
//!
//! Each table is a file: `startup`, `generation`, `profiles`, `speculation`, `clients`, `prefix`. Each gets a
//! [`lab::Lab`], which starts daemons, sends requests and shows progress, and returns an
//! [`crate::output::tables::Table`].

mod about;
mod busy;
mod calibrate;
mod calibration;
mod child;
mod clients;
mod daemon;
mod error;
mod generation;
mod home;
mod lab;
mod plan;
mod prefix;
mod profiles;
pub(super) mod settings;
mod speculation;
mod startup;
mod steps;
mod texts;

use std::{path::Path, time::SystemTime};

use clap::ValueEnum as _;
use serde_json::Value;

pub use self::error::BenchError;
use self::{about::About, busy::Trust, home::Home, lab::Lab, settings::Settings, steps::Steps};
use crate::{
    cli::{BenchOptions, BenchTable, STDOUT},
    context::Context,
    exit::{During as _, Result},
    machine::Machine,
    output::{
        WholeFile, json_line,
        tables::{Layout, Table, chart, table_object, table_text},
    },
    start,
    wait::{Wait, WaitError},
};
use plan::Plan;

fn plan(table: BenchTable) -> &'static Plan {
    match table {
        BenchTable::Startup => &startup::PLAN,
        BenchTable::Generation => &generation::PLAN,
        BenchTable::Profiles => &profiles::PLAN,
        BenchTable::Speculation => &speculation::PLAN,
        BenchTable::Clients => &clients::PLAN,
        BenchTable::Prefix => &prefix::PLAN,
    }
}

pub(super) fn run(context: &Context, options: &BenchOptions) -> Result<()> {
    // Reports all mistakes that the user must fix before measuring anything.
    let program = start::program()?;
    // From here on there may be child processes to stop.
    let wait = Wait::start_with_children(context.timeout).context("cannot watch for Ctrl-C")?;
    let settings = Settings::of_user(&program, options.model.clone(), &wait)?;
    let sinks = Sinks::open(options)?;
    let trust = Trust::judge(busy::look(Path::new("/proc"), &wait)?, options.force)?;
    // The tables include the warning themselves.
    if let Some(warning) = trust.warning().filter(|_| !sinks.has_tables) {
        context.console.warning(&warning);
    }
    if options.calibrate {
        return calibrate::run(context, options, &program, &trust, sinks, &wait);
    }
    let is_wanted = |table: &&BenchTable| options.only.is_empty() || options.only.contains(table);
    // In the order of `BenchTable`, which is also that of `--help`.
    let plans: Vec<&Plan> = BenchTable::value_variants().iter().filter(is_wanted).map(|table| plan(*table)).collect();
    let steps = Steps::new(context.console, plans.iter().map(|plan| plan.weight).collect());
    let mut lab = Lab::new(program, settings, Home::new()?, &wait, steps, options);
    let outcome = measure(context, &mut lab, &plans, trust, sinks);
    lab.steps.erase();
    outcome
}

fn measure(context: &Context, lab: &mut Lab<'_>, plans: &[&Plan], trust: Trust, mut sinks: Sinks) -> Result<()> {
    let layout = Layout::of(context.console);
    // Also unpacks the built-in model and brings the file into the page cache, neither of which should be measured.
    lab.steps.set("a first start");
    let daemon = lab.start(&[])?;
    let about = About::new(Machine::look(), &daemon.status, lab, trust, SystemTime::now());
    daemon.stop(lab.wait)?;

    let has_tables = sinks.has_tables;
    let show = |lab: &mut Lab<'_>, text: String| {
        lab.steps.erase();
        if has_tables { context.console.print(&text) } else { Ok(()) }
    };
    show(lab, about.text())?;
    let mut tables = Vec::new();
    for plan in plans {
        let table = match (plan.measure)(lab) {
            Ok(table) => table,
            // A timeout or Ctrl-C ends the whole run, not just one table.
            Err(error) if error.is::<WaitError>() => return Err(error),
            Err(error) => Table::failed(plan.name, plan.title, format!("{error:#}")),
        };
        lab.steps.finish_table();
        show(lab, table_text(&table, layout))?;
        tables.push(table);
    }
    if let Some(file) = sinks.svg.take() {
        file.finish(&chart(&about.title(), &about.lines(), &tables))?;
    }
    let objects: Vec<Value> = tables.iter().map(table_object).collect();
    sinks.finish(context, &about.object(objects))?;
    complete(&tables)
}

fn complete(tables: &[Table]) -> Result<()> {
    let failed: Vec<&str> = tables.iter().filter(|table| !table.is_complete()).map(|table| table.name).collect();
    if failed.is_empty() { Ok(()) } else { Err(BenchError::NotMeasured(failed.join(", ")).into()) }
}

struct Sinks {
    has_tables: bool,
    json: Option<WholeFile>,
    svg: Option<WholeFile>,
}

impl Sinks {
    fn open(options: &BenchOptions) -> Result<Self> {
        let has_tables = options.json.as_ref().is_none_or(|path| path.as_os_str() != STDOUT);
        let json = options.json.as_deref().filter(|_| has_tables).map(WholeFile::create);
        let svg = options.svg.as_deref().map(WholeFile::create);
        Ok(Self { has_tables, json: json.transpose()?, svg: svg.transpose()? })
    }

    fn finish(self, context: &Context, object: &Value) -> Result<()> {
        let text = json_line(object);
        if let Some(file) = self.json {
            file.finish(&text)?;
        }
        if self.has_tables { Ok(()) } else { Ok(context.console.print(&text)?) }
    }
}
