"""Signs in as the vendor's SDK does: its client class, its way of building requests, the platform's first call."""

import sys

import requests
import trifacta

url, token = sys.argv[1:]
client = trifacta.Client(url, token)
headers = {"Authorization": "Bearer " + client.trifacta_token}
reply = requests.get(client.trifacta_base_url + "/v4/people/current", headers=headers)
print(reply.status_code, *([reply.json()["email"]] if reply.ok else []))
