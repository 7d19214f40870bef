"""Deploys a template to a stand-in's CloudFormation, and again as an update, and reads back what it made.

Reads { endpoint, region, template, update, parameters } from standard input.
"""
import json
import sys
import time

import boto3

given = json.load(sys.stdin)
place = {
    "endpoint_url": given["endpoint"],
    "region_name": given["region"],
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
cloudformation = boto3.client("cloudformation", **place)
parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.get("parameters", {}).items()]


def settled():
    for _ in range(300):
        stack = cloudformation.describe_stacks(StackName="secrets")["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.1)
    return stack


def events():
    found = cloudformation.describe_stack_events(StackName="secrets")["StackEvents"]
    return [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in found if "FAILED" in e["ResourceStatus"]]


common = {"StackName": "secrets", "Parameters": parameters, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
cloudformation.create_stack(TemplateBody=json.dumps(given["template"], separators=(",", ":")), **common)
made = settled()
failed = events()
result = {"status": made["StackStatus"], "failed": failed}
if not failed:
    outputs = {one["OutputKey"]: one["OutputValue"] for one in made.get("Outputs", [])}
    listed = []
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName="secrets"):
        listed += page["StackResourceSummaries"]
    physical = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}
    manager = boto3.client("secretsmanager", **place)
    kms = boto3.client("kms", **place)
    sqs = boto3.client("sqs", **place)
    iam = boto3.client("iam", **place)
    secrets = manager.list_secrets()["SecretList"]

    def keyOf(name):
        return manager.describe_secret(SecretId=name).get("KmsKeyId", "")

    key = kms.describe_key(KeyId=outputs["KeyArn"])["KeyMetadata"]
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    attached = iam.list_attached_role_policies(RoleName=physical["TaskRole"])["AttachedPolicies"]
    alarms = boto3.client("cloudwatch", **place).describe_alarms()["MetricAlarms"]
    filters = boto3.client("logs", **place).describe_metric_filters()["metricFilters"]
    result["types"] = sorted({one["ResourceType"] for one in listed})
    result["made"] = {
        "secrets": sorted(one["Name"] for one in secrets),
        "keys": sorted({keyOf(one["Name"]).split("/")[-1] == key["KeyId"] for one in secrets}),
        "tags": {tag["Key"]: tag["Value"] for tag in secrets[0]["Tags"]},
        "rotates": kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"],
        "deadLetters": "deadLetterTargetArn" in attributes.get("RedrivePolicy", ""),
        "queuePolicy": "events.amazonaws.com" in attributes.get("Policy", ""),
        "policies": len(attached),
        "alarms": len(alarms),
        "filters": len(filters),
    }
    # A value that somebody puts survives the next deployment.
    manager.put_secret_value(SecretId=secrets[0]["Name"], SecretString="made-up-value")
    try:
        cloudformation.update_stack(TemplateBody=json.dumps(given["update"], separators=(",", ":")), **common)
        result["updated"] = settled()["StackStatus"]
        result["updateFailed"] = events()
    except Exception as error:  # noqa: BLE001
        result["updated"] = str(error)
    result["kept"] = manager.get_secret_value(SecretId=secrets[0]["Name"])["SecretString"] == "made-up-value"
print(json.dumps(result))
