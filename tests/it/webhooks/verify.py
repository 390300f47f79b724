"""Verifies webhook requests with the library of Standard Webhooks, and prints the action of each event."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

work = json.load(sys.stdin)
webhook = Webhook(work["secret"])
for request in work["requests"]:
    print(webhook.verify(request["body"], request["headers"])["action"])
    try:
        webhook.verify(request["body"] + " ", request["headers"])
    except WebhookVerificationError:
        continue
    sys.exit("a changed body was accepted")
