//! What can go wrong, its exit code, and how it is told. The one place that renders errors.

use std::process::ExitCode;

use serde::Serialize;
use tonle_client::ClientError;
use tonle_client::api::Problem;

use crate::output::Format;
use crate::remedy;

/// How a command ended, as scripts see it (api.md, tonle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The ledger, or a check made here, said no.
    Refused = 1,
    /// The command line, a file or an environment variable makes no sense.
    Usage = 2,
    /// No node answered.
    Unreachable = 3,
    /// Nothing final within the time allowed.
    TimedOut = 4,
}

/// An error with what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    exit: Exit,
    code: String,
    message: String,
    remedy: Option<String>,
}

/// The JSON form, on the error stream.
#[derive(Serialize)]
struct Report<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    exit: u8,
}

impl CliError {
    fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), remedy: None }
    }

    /// The ledger said no, with its stable code.
    pub fn refused(code: &str, detail: impl Into<String>) -> Self {
        let error = Self::new(Exit::Refused, code, detail);
        match remedy::of(code) {
            Some(remedy) => error.help(remedy),
            None => error,
        }
    }

    /// Something that had to hold does not.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, "failed", message)
    }

    /// What was asked for makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// No node answered.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, "unreachable", message)
    }

    /// Nothing final in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Exit::TimedOut, "timed_out", message)
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What to do next, if that is known.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The text for the error stream.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Json => {
                let body = Body {
                    code: &self.code,
                    detail: &self.message,
                    remedy: self.remedy(),
                    exit: self.exit as u8,
                };
                // A struct of strings and numbers always has a JSON form.
                serde_json::to_string(&Report { error: body }).unwrap_or_default()
            }
            Format::Table => {
                let head = match self.exit {
                    Exit::Refused if self.code != "failed" => format!("error[{}]", self.code),
                    _ => "error".into(),
                };
                let help = self.remedy().map(|text| format!("\n help: {text}"));
                format!("{head}: {}{}", self.message, help.unwrap_or_default())
            }
        }
    }

    /// Tells the error and gives the exit code.
    pub fn report(&self, format: Format) -> ExitCode {
        eprintln!("{}", self.render(format));
        ExitCode::from(self.exit as u8)
    }
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> Self {
        let refused = Self::refused(&problem.code, problem.detail);
        match problem.status {
            // A node that is not ready is as good as none.
            502..=504 => Self { exit: Exit::Unreachable, ..refused },
            _ => refused,
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => (*problem).into(),
            ClientError::Timeout { .. } => Self::timed_out(error.to_string())
                .help("the node may be busy; ask again, or give another node with --url"),
            ClientError::Unreachable { .. } => Self::unreachable(error.to_string()).help(
                "is it running? `tonle localnet up --detach` starts a network here, --url names \
                 another",
            ),
            _ => Self::unreachable(error.to_string())
                .help("does --url name a Tonle node of this version?"),
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: "No".into(),
            status,
            detail: "sok@aclb has 5 khr#nbc".into(),
            code: code.into(),
            retry_after_s: None,
            results: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_tells_code_detail_and_remedy() {
        let error = CliError::from(problem(422, "insufficient_balance"));
        assert_eq!(error.exit(), Exit::Refused);
        let text = error.render(Format::Table);
        assert!(text.starts_with("error[insufficient_balance]: sok@aclb has 5 khr#nbc"), "{text}");
        assert!(text.contains("\n help: "), "{text}");
    }

    #[test]
    fn a_refusal_in_json_is_one_object() {
        let error = CliError::from(problem(422, "insufficient_balance"));
        let json: serde_json::Value = serde_json::from_str(&error.render(Format::Json)).unwrap();
        assert_eq!(json["error"]["code"], "insufficient_balance");
        assert_eq!(json["error"]["exit"], 1);
        assert!(json["error"]["remedy"].is_string());
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        assert_eq!(CliError::usage("x").exit() as u8, 2);
        assert_eq!(CliError::unreachable("x").exit() as u8, 3);
        assert_eq!(CliError::timed_out("x").exit() as u8, 4);
        assert_eq!(CliError::from(problem(404, "not_found")).exit() as u8, 1);
        assert_eq!(CliError::from(problem(503, "not_ready")).exit() as u8, 3);
    }
}
