"""Signs in with the client class of the vendor's SDK, and sends the first request of the platform."""

import sys

import requests
import trifacta

url, token = sys.argv[1:]
client = trifacta.Client(url, token)
headers = {"Authorization": "Bearer " + client.trifacta_token}
reply = requests.get(client.trifacta_base_url + "/v4/people/current", headers=headers)
print(reply.status_code, *([reply.json()["email"]] if reply.ok else []))
