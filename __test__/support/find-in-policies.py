"""Reads policies by name from standard input; prints what parliament finds in them."""
import json
import sys

from parliament import analyze_policy_string

found = []
for name, document in json.load(sys.stdin).items():
    for finding in analyze_policy_string(json.dumps(document)).findings:
        found.append(f"{name}: {finding.issue} {finding.detail}")
print(json.dumps(found))
