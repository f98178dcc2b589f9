//! `tonle localnet up` and `restart`.

use std::path::PathBuf;
use std::process::Child;
use std::thread;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::process::{self, Life};
use super::state::{self, DEFAULT_DIRECTORY, Localnet, Lock};
use super::{UpArgs, files, ready, report, stop};
use crate::context::Context;
use crate::error::CliError;

/// Starts a network, or the validators of an existing one that do not run.
pub async fn run(args: UpArgs, context: &Context) -> Result<(), CliError> {
    // A new network is made where one says, or here: never in the place of one far away.
    let named = context.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY));
    std::fs::create_dir_all(&named).map_err(|error| {
        CliError::usage(format!("cannot make the directory {}: {error}", named.display()))
    })?;
    let directory = state::absolute(&named);
    let lock = Lock::take(&directory)?;
    let mut localnet = open(&directory, &args).await?;
    state::remember(&directory)?;
    let stopped: Vec<u16> = localnet
        .validators
        .iter()
        .filter(|validator| localnet.running(validator).is_none())
        .map(|validator| validator.index)
        .collect();
    if stopped.is_empty() {
        context.output.progress("it is running already; --fresh starts it anew");
        return report::ready(&localnet, true, context).await;
    }
    let life = if args.detach { Life::Detached } else { Life::Attached };
    let children = start(&mut localnet, &stopped, life)?;
    // Children are looked after by threads of their own, so that they leave no zombies.
    for (index, child) in children {
        thread::spawn(move || look_after(index, child, life));
    }
    if let Err(error) = ready::wait(&localnet, &stopped, &context.output).await {
        stop::stop_all(&mut localnet).await?;
        return Err(error);
    }
    drop(lock);
    report::ready(&localnet, args.detach, context).await?;
    match args.detach {
        true => Ok(()),
        false => stay(context, &directory).await,
    }
}

/// The localnet of the directory as `up` wants it: anew, resumed or made.
async fn open(directory: &std::path::Path, args: &UpArgs) -> Result<Localnet, CliError> {
    if args.fresh {
        if let Ok(Some(mut old)) = Localnet::load_if_there(directory) {
            stop::stop_all(&mut old).await?;
        }
        files::remove(directory)?;
    }
    let Some(localnet) = Localnet::load_if_there(directory)? else {
        return files::create(directory, args);
    };
    let count = localnet.validators.len();
    let fresh = "--fresh deletes it and makes a new one; --dir makes one elsewhere";
    if args.validators.is_some_and(|wanted| usize::from(wanted) != count) {
        let message = format!("the localnet in {} has {count} validators", directory.display());
        return Err(CliError::usage(message).help(fresh));
    }
    if let Some(path) = &args.genesis
        && crate::genesis::read(path)?.chain() != localnet.chain
    {
        let message = format!("the localnet in {} has another genesis", directory.display());
        return Err(CliError::usage(message).help(fresh));
    }
    Ok(localnet)
}

/// Starts validators and remembers their processes at once, so that none is ever lost.
fn start(
    localnet: &mut Localnet,
    indices: &[u16],
    life: Life,
) -> Result<Vec<(u16, Child)>, CliError> {
    let program = process::find_program()?;
    let mut children = Vec::new();
    for index in indices {
        let (config, log) = (localnet.config(*index), localnet.log(*index));
        let child = process::start(&program, &config, &log, life)?;
        localnet.set_pid(*index, Some(child.id()));
        localnet.save()?;
        children.push((*index, child));
    }
    Ok(children)
}

fn look_after(index: u16, mut child: Child, life: Life) {
    if let Ok(status) = child.wait()
        && life == Life::Attached
        && !status.success()
    {
        eprintln!("validator {index} ended: {status}; `tonle localnet restart {index}`");
    }
}

/// Stays until told to end, then stops what runs.
async fn stay(context: &Context, directory: &std::path::Path) -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    context.output.progress("\nstopping");
    let _lock = Lock::take(directory)?;
    // Read again: validators may have been killed and restarted from elsewhere meanwhile.
    let mut localnet = Localnet::find(Some(directory))?;
    stop::stop_all(&mut localnet).await.map(drop)
}

#[derive(Serialize)]
struct Restarted {
    restarted: u16,
    pid: Option<u32>,
}

/// Starts one validator again, ending it first if it runs.
pub async fn restart(index: u16, context: &Context) -> Result<(), CliError> {
    let directory = Localnet::find(context.dir.as_deref())?.directory;
    let _lock = Lock::take(&directory)?;
    let mut localnet = Localnet::find(Some(&directory))?;
    let validator = localnet.validator(index)?.clone();
    if localnet.running(&validator).is_some() {
        stop::stop_one(&mut localnet, index).await?;
    }
    start(&mut localnet, &[index], Life::Detached)?;
    ready::wait(&localnet, &[index], &context.output).await?;
    let pid = localnet.validator(index)?.pid;
    context.output.show(&Restarted { restarted: index, pid }, || {
        format!("validator {index} is up again at {}", super::url(validator.api))
    })
}
