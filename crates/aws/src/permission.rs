//! The IAM actions that are used here, and which of them a refusal of AWS is about.

/// Reading a secret.
pub const GET: &str = "secretsmanager:GetSecretValue";
/// Reading twenty in one call.
pub const BATCH: &str = "secretsmanager:BatchGetSecretValue";
/// Finding the secrets of a tool that declares none.
pub const LIST: &str = "secretsmanager:ListSecrets";
/// Rotating a secret, and overwriting it in a migration.
pub const DESCRIBE: &str = "secretsmanager:DescribeSecret";
/// Reading a secret whose key is not AWS's own.
pub const DECRYPT: &str = "kms:Decrypt";

/// What a migration writes with.
pub const WRITES: [&str; 4] = [
    "secretsmanager:CreateSecret",
    "secretsmanager:TagResource",
    "secretsmanager:PutSecretValue",
    "kms:GenerateDataKey",
];
/// Marking a secret for deletion, and taking the mark away.
const DELETIONS: [&str; 2] = ["secretsmanager:DeleteSecret", "secretsmanager:RestoreSecret"];
/// What rotations need besides.
const ROTATIONS: [&str; 3] =
    ["secretsmanager:UpdateSecretVersionStage", "secretsmanager:RotateSecret", "secretsmanager:GetRandomPassword"];

/// All of them are the type `AwsAction` of `index.d.ts`.
fn all() -> impl Iterator<Item = &'static str> {
    [GET, BATCH, LIST, DESCRIBE, DECRYPT].into_iter().chain(WRITES).chain(ROTATIONS).chain(DELETIONS)
}

/// The action that the message of a refusal names, when it is one of those above. Nothing of the message is repeated.
///
/// # Source
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>: `User: … is not authorized to
/// perform: service:Action on resource: …`. Secrets Manager speaks of keys in a sentence of its own.
pub(super) fn named_in(message: &str) -> Option<&'static str> {
    if message == "Access to KMS is not allowed" {
        return Some(DECRYPT);
    }
    let (_, named) = message.split_once(" is not authorized to perform: ")?;
    let named = named.split(' ').next()?;
    all().find(|action| *action == named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "User: arn:aws:sts::123456789012:assumed-role/orders/i-0abc is not authorized to perform:";

    #[test]
    fn the_action_of_a_refusal_is_found() {
        let because = "because no identity-based policy allows the secretsmanager:GetSecretValue action";
        assert_eq!(
            named_in(&format!("{USER} secretsmanager:GetSecretValue on resource: A_B_test {because}")),
            Some(GET)
        );
        assert_eq!(named_in(&format!("{USER} kms:Decrypt on resource: arn with an explicit deny")), Some(DECRYPT));
        assert_eq!(named_in(&format!("{USER} secretsmanager:ListSecrets")), Some(LIST));
        assert_eq!(named_in("Access to KMS is not allowed"), Some(DECRYPT));
    }

    #[test]
    fn what_is_no_action_of_this_package_is_not_repeated() {
        for other in ["iam:CreateUser", "secretsmanager:GetSecretValue\u{1b}[31m", "canary", ""] {
            assert_eq!(named_in(&format!("{USER} {other}")), None);
        }
        assert_eq!(named_in("Access to KMS is not allowed: canary"), None);
    }
}
