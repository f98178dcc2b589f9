//! `tonle localnet down` and `kill`.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Serialize;

use super::process;
use super::state::{Localnet, Lock};
use crate::context::Context;
use crate::error::CliError;
use crate::output::count;

/// How long a validator may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the system may take to end a killed process.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Stopped {
    stopped: Vec<u16>,
}

/// Stops all validators.
pub async fn down(context: &Context) -> Result<(), CliError> {
    let directory = Localnet::find(context.dir.as_deref())?.directory;
    let _lock = Lock::take(&directory)?;
    let mut localnet = Localnet::find(Some(&directory))?;
    let stopped = stop_all(&mut localnet).await?;
    let words = match stopped.len() as u64 {
        0 => "no validator was running".into(),
        number => format!("stopped {}", count(number, "validator", "validators")),
    };
    context.output.show(&Stopped { stopped }, || {
        format!("{words}; `tonle localnet up` goes on where it ended")
    })
}

/// Asks all validators to end, and kills those that do not in time. Tells which ran.
pub async fn stop_all(localnet: &mut Localnet) -> Result<Vec<u16>, CliError> {
    let running: Vec<_> = localnet
        .validators
        .iter()
        .filter_map(|validator| Some((validator.index, localnet.running(validator)?)))
        .collect();
    for (index, pid) in &running {
        process::signal(*pid, &localnet.config(*index), Signal::TERM);
    }
    let deadline = Instant::now() + PATIENCE;
    for (index, pid) in &running {
        let config = localnet.config(*index);
        if !process::wait_for_end(*pid, &config, deadline).await {
            end_now(localnet, *index, *pid).await?;
        }
        localnet.set_pid(*index, None);
    }
    localnet.save()?;
    Ok(running.into_iter().map(|(index, _)| index).collect())
}

/// Ends one validator as a power cut would.
pub async fn kill(index: u16, context: &Context) -> Result<(), CliError> {
    let directory = Localnet::find(context.dir.as_deref())?.directory;
    let _lock = Lock::take(&directory)?;
    let mut localnet = Localnet::find(Some(&directory))?;
    let validator = localnet.validator(index)?;
    let Some(pid) = localnet.running(validator) else {
        return Err(CliError::usage(format!("validator {index} is not running"))
            .help(format!("`tonle localnet restart {index}` starts it")));
    };
    end_now(&localnet, index, pid).await?;
    localnet.set_pid(index, None);
    localnet.save()?;
    context.output.show(&Stopped { stopped: vec![index] }, || {
        format!("killed validator {index}; `tonle localnet restart {index}` starts it again")
    })
}

/// Asks one validator to end, and kills it if it does not in time.
pub async fn stop_one(localnet: &mut Localnet, index: u16) -> Result<(), CliError> {
    let Some(pid) = localnet.running(localnet.validator(index)?) else { return Ok(()) };
    let config = localnet.config(index);
    process::signal(pid, &config, Signal::TERM);
    if !process::wait_for_end(pid, &config, Instant::now() + PATIENCE).await {
        end_now(localnet, index, pid).await?;
    }
    localnet.set_pid(index, None);
    localnet.save()
}

async fn end_now(localnet: &Localnet, index: u16, pid: u32) -> Result<(), CliError> {
    let config = localnet.config(index);
    process::signal(pid, &config, Signal::KILL);
    match process::wait_for_end(pid, &config, Instant::now() + KILL_PATIENCE).await {
        true => Ok(()),
        false => Err(CliError::timed_out(format!("process {pid} does not end"))),
    }
}
