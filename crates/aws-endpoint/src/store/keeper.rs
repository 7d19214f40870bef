//! Who rotates or owns a secret besides its user, and answers that are late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{ApiResult, Secret, Version, error};
use crate::clock::now;

/// What `DescribeSecret` says of a secret that AWS, a partner or another service takes care of.
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    /// `RotationEnabled`.
    pub rotates: bool,
    /// `NextRotationDate`, in seconds since 1970.
    pub next_rotation: Option<u64>,
    /// `OwningService`, such as `rds`. Others may not write such a secret.
    pub owner: Option<String>,
    /// `Type` of a managed external secret, such as `SalesforceClientSecret`.
    pub external_type: Option<String>,
}

/// The versions as they were before each of the last writes. AWS is eventually consistent: for a while after a write,
/// reads and `DescribeSecret` may show what was there before.
#[derive(Clone, Debug, Default)]
pub(super) struct Past(VecDeque<(Instant, BTreeMap<String, Version>)>);

impl Past {
    /// What a reader sees instead of `versions`.
    pub(super) fn shown<'a>(&'a self, versions: &'a BTreeMap<String, Version>) -> &'a BTreeMap<String, Version> {
        self.0.iter().find(|(until, _)| now() < *until).map_or(versions, |(_, before)| before)
    }
}

impl Secret {
    /// The versions as readers see them.
    pub(crate) fn shown(&self) -> &BTreeMap<String, Version> {
        self.past.shown(&self.versions)
    }

    /// To be called before each write: readers see the versions of now for as long as answers are late.
    pub(super) fn before_write(&mut self, late: Duration) {
        let now = now();
        self.past.0.retain(|(until, _)| now < *until);
        if !late.is_zero() {
            self.past.0.push_back((now + late, self.versions.clone()));
        }
    }

    /// The replica of it in `region`.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let parts: Vec<&str> = self.arn.splitn(5, ':').collect();
        let arn = match parts[..] {
            [arn, partition, service, _, rest] => format!("{arn}:{partition}:{service}:{region}:{rest}"),
            _ => self.arn.clone(),
        };
        Self { arn, replicas: BTreeSet::new(), is_replica: true, ..self.clone() }
    }

    /// Refuses a write of somebody else than the service that owns the secret.
    pub(super) fn check_owner(&self) -> ApiResult<()> {
        if self.keeper.owner.is_some() {
            return error(
                "InvalidRequestException",
                "The secret is managed by another service, and you must use that service to update it.",
            );
        }
        if self.is_replica {
            return error(
                "InvalidParameterException",
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            );
        }
        Ok(())
    }
}
