//! Faults that real validators are put through, each with what must hold while it lasts and after.
//!
//! Every case has a network of its own, of four validators and so of one that may fail, and pays
//! on it throughout. When it is over every payment must be there once on every validator that
//! runs, and the chains, states and balances must agree ([`crate::hosts::sound`]).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hosts::Outcome;
use crate::hosts::network::{Disks, Join, Network, Options, VALIDATORS};
use crate::panics::caught;
use crate::random::Random;

mod crash;
pub mod figures;
mod liar;
mod links;
mod machine;
mod simulated;
mod space;
pub mod stage;
mod throughput;

use figures::{Figure, Mark};
use stage::Stage;

/// Of what strikes when.
const SEED: u64 = 1;
/// The small disk of all validators, and its reserve: enough for a full disk to be noticed in time.
const DISK_MIB: u64 = 512;
const RESERVE_MIB: u64 = 128;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The long cycles, rather than a short pass.
    pub long: bool,
    /// Payments a second while faults strike.
    pub rate: u32,
}

impl Plan {
    /// One of the two.
    pub fn choose<T>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }

    /// How long a link or a process fails.
    pub fn fault(&self) -> Duration {
        Duration::from_secs(self.choose(2, 10))
    }

    /// How long a throughput is measured.
    pub fn measure(&self) -> Duration {
        Duration::from_secs(self.choose(4, 20))
    }

    /// The mark of what happens in some time, as a throughput. A short pass measures for too short a
    /// time to be held to one.
    pub fn over_time(&self, mark: Mark) -> Mark {
        self.choose(Mark::Told, mark)
    }

    /// What strikes when; the same in every run, however much is paid.
    pub fn random(&self) -> Random {
        Random::new(SEED)
    }
}

/// A fault, and what is done to see that nothing comes of it.
pub struct Case {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What strikes.
    pub fault: &'static str,
    play: Play,
}

/// Where it is played.
enum Play {
    /// On hosts, with such a network.
    OnHosts { options: fn() -> Options, act: fn(&mut Stage, &Plan) -> Outcome<Vec<Figure>> },
    /// On virtual time.
    Simulated(fn(&Plan) -> Outcome<Vec<Figure>>),
}

use Play::{OnHosts, Simulated};

/// Every case.
pub const CASES: &[Case] = &[
    Case {
        name: "simulator",
        fault: "everything at once, on virtual time",
        play: Simulated(simulated::seeds),
    },
    Case {
        name: "partition-minority",
        fault: "one validator cut off",
        play: OnHosts { options: Options::default, act: links::minority },
    },
    Case {
        name: "partition-halves",
        fault: "two and two cut apart",
        play: OnHosts { options: Options::default, act: links::halves },
    },
    Case {
        name: "one-way",
        fault: "one validator not heard, then not hearing",
        play: OnHosts { options: Options::default, act: links::one_way },
    },
    Case {
        name: "loss",
        fault: "30 % of all packets lost, each way",
        play: OnHosts { options: Options::default, act: links::loss },
    },
    Case {
        name: "delay",
        fault: "200 ms on every link, each way",
        play: OnHosts {
            options: || Options { slow_links: true, ..Options::default() },
            act: links::delay,
        },
    },
    Case {
        name: "pause",
        fault: "one validator stopped (SIGSTOP), then continued",
        play: OnHosts { options: Options::default, act: machine::pause },
    },
    Case {
        name: "clock-ahead",
        fault: "the clock of one an hour ahead",
        play: OnHosts {
            options: || Options { clock_offset_s: 3_600, ..Options::default() },
            act: machine::wrong_clock,
        },
    },
    Case {
        name: "clock-behind",
        fault: "the clock of one an hour behind",
        play: OnHosts {
            options: || Options { clock_offset_s: -3_600, ..Options::default() },
            act: machine::wrong_clock,
        },
    },
    Case {
        name: "byzantine",
        fault: "a leader that proposes two blocks and votes twice",
        play: OnHosts {
            options: || Options { liar: true, ..Options::default() },
            act: liar::two_faced,
        },
    },
    Case {
        name: "kill-one",
        fault: "kill -9 of one, again and again",
        play: OnHosts { options: Options::default, act: crash::kill_one },
    },
    Case {
        name: "kill-all",
        fault: "kill -9 of all, again and again",
        play: OnHosts { options: Options::default, act: crash::kill_all },
    },
    Case {
        name: "power",
        fault: "power lost, with all that was not synced",
        play: OnHosts {
            options: || Options { disks: Disks::Own, ..Options::default() },
            act: crash::power,
        },
    },
    Case {
        name: "rolling",
        fault: "each restarted in turn (SIGTERM)",
        play: OnHosts { options: Options::default, act: crash::rolling },
    },
    Case {
        name: "disk-full",
        fault: "all disks below their reserve",
        play: OnHosts { options: || small_disk(RESERVE_MIB), act: space::below_reserve },
    },
    Case {
        name: "disk-error",
        fault: "all disks full to the last byte, without a reserve",
        play: OnHosts { options: || small_disk(0), act: space::no_byte_left },
    },
    Case {
        name: "leader-down",
        fault: "f down for good",
        play: OnHosts { options: Options::default, act: throughput::leader_down },
    },
    Case {
        name: "flood",
        fault: "one client sends all it can",
        play: OnHosts { options: Options::default, act: throughput::flood },
    },
    Case {
        name: "join",
        fault: "a new node joins from genesis",
        play: OnHosts {
            options: || Options { observer: Some(Join::Genesis), ..Options::default() },
            act: throughput::join,
        },
    },
    Case {
        name: "join-snapshot",
        fault: "a new node joins from a snapshot",
        play: OnHosts {
            options: || Options { observer: Some(Join::Snapshot), ..Options::default() },
            act: throughput::join_from_snapshot,
        },
    },
];

fn small_disk(reserve_mib: u64) -> Options {
    Options { disks: Disks::Small { mib: DISK_MIB, reserve_mib }, ..Options::default() }
}

impl Case {
    /// The command that repeats it.
    pub fn command(&self) -> String {
        format!("make chaos ONLY={}", self.name)
    }
}

/// What came of a case.
pub struct Report {
    /// Which.
    pub case: &'static Case,
    /// What it measured, or why it could not go on.
    pub result: Outcome<Vec<Figure>>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether all that must hold did.
    pub fn holds(&self) -> bool {
        self.result.as_ref().is_ok_and(|figures| figures.iter().all(Figure::holds))
    }

    /// Rows of the table: fault, measure, rule, measured, pass, and the command that repeats it.
    /// The first row of a case has the fault and the command.
    pub fn rows(&self) -> Vec<[String; 6]> {
        let pass = |holds| if holds { "pass" } else { "FAIL" }.to_owned();
        let (fault, command) = (self.case.fault.to_owned(), format!("`{}`", self.case.command()));
        match &self.result {
            Err(error) => {
                let first = error.lines().next().unwrap_or_default().to_owned();
                vec![[fault, first, String::new(), String::new(), pass(false), command]]
            }
            Ok(figures) => {
                let row = |(number, figure): (usize, &Figure)| {
                    let once = |text: &str| match number {
                        0 => text.to_owned(),
                        _ => String::new(),
                    };
                    let verdict = match figure.mark {
                        Mark::Told => String::new(),
                        _ => pass(figure.holds()),
                    };
                    let (what, rule) = (figure.what.clone(), figure.rule());
                    [once(&fault), what, rule, figure.to_string(), verdict, once(&command)]
                };
                figures.iter().enumerate().map(row).collect()
            }
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let figures = self.result.as_ref().map(|all| all.iter().map(Figure::to_json).collect());
        json!({
            "case": self.case.name,
            "fault": self.case.fault,
            "command": self.case.command(),
            "seconds": self.seconds,
            "holds": self.holds(),
            "figures": figures.unwrap_or_else(|_| Vec::<Value>::new()),
            "error": self.result.as_ref().err(),
        })
    }
}

/// Runs a case. What goes wrong in it is its result, and the next one can run.
pub fn run(case: &'static Case, plan: &Plan) -> Report {
    let start = Instant::now();
    let result = caught(|| act(case, plan)).unwrap_or_else(Err);
    Report { case, result, seconds: start.elapsed().as_secs_f64() }
}

fn act(case: &Case, plan: &Plan) -> Outcome<Vec<Figure>> {
    let (options, act) = match case.play {
        OnHosts { options, act } => (options, act),
        Simulated(act) => return act(plan),
    };
    let mut stage = Stage::new(Network::start(&options())?);
    let acted = act(&mut stage, plan).and_then(|mut figures| {
        let sound = stage.close()?;
        figures.push(Figure::count("payments, each there once", sound.payments, Mark::Told));
        Ok(figures)
    });
    acted.map_err(|error| format!("{error}\n{}", stage.network.logs()))
}

/// What four validators decide a second when nothing is wrong and all that they take is offered.
pub fn most_per_second(time: Duration) -> Outcome<f64> {
    let mut stage = Stage::new(Network::start(&Options::default())?);
    let rate = stage.saturate(time)?;
    stage.close().map(|_| rate)
}

/// All validators.
const EVERYONE: [usize; VALIDATORS] = [0, 1, 2, 3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_stands_in_the_table_with_its_command() {
        let figures = vec![
            Figure::count("cycles", 3, Mark::Told),
            Figure::within("gap", Duration::from_secs(3), 2.0),
        ];
        let case = CASES.iter().find(|case| case.name == "kill-all").unwrap();
        let report = Report { case, result: Ok(figures), seconds: 1.0 };
        let rows = report.rows();
        assert_eq!(rows[0], [case.fault, "cycles", "", "3", "", "`make chaos ONLY=kill-all`"]);
        assert_eq!(rows[1], ["", "gap", "at most 2 s", "3 s", "FAIL", ""]);
        let failed = Report { case, result: Err("it ended\nat once".into()), seconds: 1.0 };
        let row = [case.fault, "it ended", "", "", "FAIL", "`make chaos ONLY=kill-all`"];
        assert_eq!(failed.rows(), [row]);
    }

    #[test]
    fn what_strikes_when_does_not_depend_on_the_rate() {
        let first = |rate| Plan { long: true, rate }.random().number();
        assert_eq!(first(400), first(3_217));
    }
}
