//! Several nodes of one network: what one cannot answer, the next one may.

use tonle_client::{Client, ClientError};

use crate::error::CliError;

/// Nodes in the order of preference; at least one.
#[derive(Debug, Clone)]
pub struct Nodes {
    first: Client,
    others: Vec<Client>,
}

impl Nodes {
    /// Clients of these addresses.
    pub fn new(urls: &[String]) -> Result<Self, CliError> {
        let client =
            |url: &String| Client::new(url).map_err(|error| CliError::usage(error.to_string()));
        let (first, others) =
            urls.split_first().ok_or_else(|| CliError::usage("no address of a node"))?;
        Ok(Self {
            first: client(first)?,
            others: others.iter().map(client).collect::<Result<_, _>>()?,
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Asks one node after the other until one answers. A refusal is an answer, unless the node
    /// says that it is not ready.
    pub async fn ask<T>(
        &self,
        question: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, CliError> {
        let mut failure = match question(&self.first).await {
            Err(error) if is_about_the_node(&error) => error,
            answer => return answer.map_err(Into::into),
        };
        for node in &self.others {
            match question(node).await {
                Err(error) if is_about_the_node(&error) => failure = error,
                answer => return answer.map_err(Into::into),
            }
        }
        Err(match self.others.len() {
            0 => failure.into(),
            others => {
                let all = others + 1;
                let error = CliError::from(failure);
                let help = "is the network up? `tonle localnet status` tells, and `tonle localnet \
                            up` starts it";
                CliError::unreachable(format!("none of {all} nodes answered; the last: {error}"))
                    .help(help)
            }
        })
    }
}

/// Whether another node may well answer the same.
pub fn is_about_the_node(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => true,
        other => matches!(other.status(), Some(429 | 502..=504)),
    }
}
