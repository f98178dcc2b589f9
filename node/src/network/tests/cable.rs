//! A cable between two nodes that can be cut without either of them being told.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::harness::localhost;

/// Passes on what comes to its address.
pub struct Cable {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
}

impl Cable {
    pub fn to(runtime: &Runtime, target: SocketAddr) -> Self {
        let listener = runtime.block_on(TcpListener::bind(localhost())).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cuts, cut) = watch::channel(0);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, target, cut.clone()));
            }
        });
        Self { address, cuts }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing passes any more on the connections that there are; they stay open.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass_on(mut near: TcpStream, target: SocketAddr, mut cut: watch::Receiver<u32>) {
    cut.mark_unchanged();
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        _ = cut.changed() => {}
    }
    std::future::pending::<()>().await;
}
