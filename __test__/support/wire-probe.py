"""Tries policies over the wire: makes a role with each, and makes every call as that role.

Reads { endpoint, region, roles: { name: [document] }, calls: { name: [operation, arguments] }, secrets: [name] } from standard
input; prints { role: { call: 'allowed' | 'denied' | error code } }.
"""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

given = json.load(sys.stdin)
place = {"endpoint_url": given["endpoint"], "region_name": given["region"]}
once = Config(retries={"max_attempts": 0})
root = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
iam = boto3.client("iam", **place, **root)
sts = boto3.client("sts", **place, **root)
manager = boto3.client("secretsmanager", **place, **root)

for name in given["secrets"]:
    manager.create_secret(Name=name, SecretString="made-up")

trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}


def outcome(client, operation, arguments):
    try:
        getattr(client, operation)(**arguments)
        return "allowed"
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "denied" if "AccessDenied" in code else code


found = {}
for role, documents in given["roles"].items():
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    for at, document in enumerate(documents):
        iam.put_role_policy(RoleName=role, PolicyName=f"part{at}", PolicyDocument=json.dumps(document))
    session = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="probe")["Credentials"]
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    clients = {}
    found[role] = {}
    for name, (service, operation, arguments) in given["calls"].items():
        client = clients.setdefault(service, boto3.client(service, **place, **keys, config=once))
        found[role][name] = outcome(client, operation, {k: v.replace("{role}", role) if isinstance(v, str) else v for k, v in arguments.items()})
print(json.dumps(found))
