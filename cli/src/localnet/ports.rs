//! Ports for a localnet: a row of them, or any that are free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::error::CliError;

/// Where free ports are looked for: below those that systems hand out to outgoing connections, so
/// that a validator finds its port free when it is started again.
const FREE: std::ops::Range<u16> = 12_000..32_000;
const TRIES_MAX: u32 = 10_000;

/// Ports that are held until the validators are about to start.
pub struct Held {
    listeners: Vec<TcpListener>,
}

impl Held {
    /// Holds none yet.
    pub fn new() -> Self {
        Self { listeners: Vec::new() }
    }

    /// `count` ports from `first` on, or any that are free if that is 0.
    pub fn take(
        &mut self,
        first: u16,
        count: u16,
        flag: &str,
    ) -> Result<Vec<SocketAddr>, CliError> {
        match first {
            0 => (0..count).map(|_| self.take_any()).collect(),
            _ => (0..count).map(|offset| self.take_one(first, offset, flag)).collect(),
        }
    }

    fn take_one(&mut self, first: u16, offset: u16, flag: &str) -> Result<SocketAddr, CliError> {
        let port = first
            .checked_add(offset)
            .ok_or_else(|| CliError::usage(format!("{flag} {first} leaves too few ports")))?;
        self.hold(port).map_err(|error| {
            CliError::usage(format!("port {port} cannot be used: {error}")).help(format!(
                "another localnet may be running (`tonle localnet down`); {flag} 0 picks free ports"
            ))
        })
    }

    fn take_any(&mut self) -> Result<SocketAddr, CliError> {
        let width = u32::from(FREE.end - FREE.start);
        for _ in 0..TRIES_MAX {
            let random = getrandom::u32()
                .map_err(|error| CliError::failed(format!("no randomness: {error}")))?;
            let offset = u16::try_from(random % width).unwrap_or(0);
            if let Ok(address) = self.hold(FREE.start + offset) {
                return Ok(address);
            }
        }
        Err(CliError::failed("there is no free port"))
    }

    fn hold(&mut self, port: u16) -> Result<SocketAddr, std::io::Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.listeners.push(TcpListener::bind(address)?);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn free_ports_are_distinct_and_stay_held() {
        let mut held = Held::new();
        let mut addresses = held.take(0, 20, "--api-port").unwrap();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 20);
        let taken = addresses[0].port();
        let error = Held::new().take(taken, 1, "--api-port").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.remedy().unwrap().contains("--api-port 0"));
    }

    #[test]
    fn a_row_of_ports_ends_where_ports_end() {
        assert!(Held::new().take(u16::MAX, 2, "--p2p-port").is_err());
    }
}
