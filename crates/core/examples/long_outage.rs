//! A ten-minute outage of AWS on an accelerated clock, as one JSON line for `npm run lab`: what 50 known secrets, read
//! every second, and one unknown secret see of it.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_endpoint::{AwsEndpoint, Fault};
use secret::clock::{Clock, Stopwatch};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::value::SecretValue;
use serde_json::json;
use tcs_secret_delivery_core::config::{Ambient, Config, OptionValue};
use tcs_secret_delivery_core::delivery::Delivery;
use tcs_secret_delivery_core::resolver::Freshness;
use tcs_secret_delivery_core::rotation::hooks::NoHooks;
use tcs_secret_delivery_core::source::runtime::Variables;

const SECRETS: usize = 50;
const OUTAGE_SECONDS: u64 = 600;
const MOST_RECOVERY_SECONDS: u64 = 120;
/// Real time in which the background may work after each accelerated second.
const SECOND: Duration = Duration::from_millis(3);

struct Silent;

impl Notices for Silent {
    fn notice(&self, _: Notice) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let aws = AwsEndpoint::start().await?;
    let names = (0..SECRETS).map(|i| SecretName::new(&format!("LAB_N{i}"))).collect::<Result<Vec<_>, _>>()?;
    for name in &names {
        aws.put(&format!("{}_production", name.as_str()), "before");
    }
    let clock = Clock::test();
    let delivery = open(&aws, &clock)?;
    let none = Variables::new([]);
    for name in &names {
        delivery.read_one(name, &none, Freshness::Cached).await?;
    }

    let expected = SecretValue::copied("before");
    let unknown = SecretName::new("LAB_UNKNOWN")?;
    let (mut reads, mut failed, mut wrong, mut worst, mut unknown_worst) =
        (0u64, 0u64, 0u64, Duration::ZERO, Duration::ZERO);
    // Until the copies are about to expire, so that the outage spans two whole TTLs.
    clock.advance(Duration::from_secs(230));
    aws.fault(Fault::error(500, "InternalServiceError"));
    aws.reset_calls();
    for _ in 0..OUTAGE_SECONDS {
        clock.advance(Duration::from_secs(1));
        for name in &names {
            let started = Stopwatch::start();
            let answer = delivery.read_one(name, &none, Freshness::Cached).await;
            worst = worst.max(started.took());
            reads += 1;
            match answer {
                Ok(Some(found)) if found.value == expected => {}
                Ok(_) => wrong += 1,
                Err(_) => failed += 1,
            }
        }
        let started = Stopwatch::start();
        if delivery.read_one(&unknown, &none, Freshness::Cached).await.is_ok() {
            wrong += 1;
        }
        unknown_worst = unknown_worst.max(started.took());
        tokio::time::sleep(SECOND).await;
    }
    let calls = aws.calls().total;

    aws.clear_faults();
    for name in &names {
        aws.put(&format!("{}_production", name.as_str()), "after");
    }
    let recovery = recovery_seconds(&delivery, &clock, &names, &none).await?;
    delivery.close().await;
    let row = json!({
        "reads": reads,
        "failed": failed,
        "wrong": wrong,
        "worstMs": worst.as_secs_f64() * 1000.0,
        "unknownWorstMs": unknown_worst.as_secs_f64() * 1000.0,
        "awsCalls": calls,
        "recoverySeconds": recovery,
    });
    println!("{row}");
    Ok(())
}

/// Seconds until every secret has its new value; `None` when that takes too long.
async fn recovery_seconds(
    delivery: &Delivery,
    clock: &Clock,
    names: &[SecretName],
    none: &Variables,
) -> Result<Option<u64>, Box<dyn Error>> {
    let expected = SecretValue::copied("after");
    for second in 1..=MOST_RECOVERY_SECONDS {
        clock.advance(Duration::from_secs(1));
        let mut new = 0;
        for name in names {
            new += usize::from(
                delivery.read_one(name, none, Freshness::Cached).await?.is_some_and(|found| found.value == expected),
            );
        }
        if new == names.len() {
            return Ok(Some(second));
        }
        tokio::time::sleep(SECOND).await;
    }
    Ok(None)
}

fn open(aws: &AwsEndpoint, clock: &Clock) -> Result<Arc<Delivery>, Box<dyn Error>> {
    let text = OptionValue::text;
    let credentials = [("accessKeyId", text("lab")), ("secretAccessKey", text("lab"))];
    let record = |fields: Vec<(&str, OptionValue)>| {
        OptionValue::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let options = record(vec![
        ("environment", text("production")),
        ("audit", OptionValue::Bool(false)),
        (
            "aws",
            record(vec![
                ("endpoint", text(&aws.url())),
                ("region", text("eu-central-1")),
                ("credentials", record(credentials.into())),
            ]),
        ),
        ("runtime", record(vec![("secretDirectories", OptionValue::List(Vec::new()))])),
    ]);
    let config = Config::from_options(options, &Ambient::default())?;
    let runtime = tokio::runtime::Handle::current();
    Ok(Arc::new(Delivery::new(config, Arc::new(Silent), Arc::new(NoHooks), None, clock.clone(), runtime)?))
}
