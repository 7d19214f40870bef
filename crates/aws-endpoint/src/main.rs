//! `aws-endpoint [--port N] [--exit-with-stdin]`: prints where it listens and serves until SIGTERM, or until its
//! standard input ends, so that a killed test never leaves it behind.

use std::io::{Error, Write as _};

use aws_endpoint::AwsEndpoint;
use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().position(|argument| argument == "--port") {
        Some(at) => {
            let number = arguments.get(at + 1).and_then(|number| number.parse().ok());
            number.ok_or_else(|| Error::other("--port needs a number"))?
        }
        None => 0,
    };
    let endpoint = AwsEndpoint::start_on(port).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", endpoint.url())?;
    out.flush()?;
    if arguments.iter().any(|argument| argument == "--exit-with-stdin") {
        tokio::select! {
            ended = terminated() => ended?,
            () = stdin_ends() => {}
        }
        // The thread that reads standard input cannot be stopped.
        std::process::exit(0);
    }
    terminated().await
}

#[cfg(unix)]
async fn terminated() -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

/// Windows has no SIGTERM: Ctrl-C ends it.
#[cfg(not(unix))]
async fn terminated() -> Result<(), Error> {
    tokio::signal::ctrl_c().await
}

async fn stdin_ends() {
    let mut buffer = [0u8; 64];
    while matches!(tokio::io::stdin().read(&mut buffer).await, Ok(read) if read > 0) {}
}
