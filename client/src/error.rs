//! Why a call to a node came to nothing, told apart by what the caller does next.

use std::time::Duration;

use crate::api::Problem;

/// Why a call to a node came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{url:?} is not the address of a node; it is written like http://127.0.0.1:8080")]
    Url {
        /// What was given.
        url: String,
    },
    /// No connection, or it broke: try another node. Whether a transaction arrived is not known;
    /// sending it again is safe, for a hash applies once.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The node.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// No answer in time; as with `Unreachable`, what was sent may have arrived.
    #[error("{url} did not answer in time")]
    Timeout {
        /// The node.
        url: String,
    },
    /// The node says no, and why.
    #[error("{} ({})", .0.detail, .0.code)]
    Problem(Box<Problem>),
    /// The answer is not what the API promises: client and node do not fit.
    #[error("{url} answered something unexpected: {reason}")]
    Decode {
        /// The node.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// The stable code, if it was the node that refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// The HTTP status, if it was the node that refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// When the node would like to hear the same again, if it is only too busy now.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) if matches!(problem.status, 429 | 503) => {
                Some(Duration::from_secs(problem.retry_after_s.unwrap_or(1)))
            }
            _ => None,
        }
    }
}
