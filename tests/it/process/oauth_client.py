"""Finds, asks and revokes as a stock OAuth 2.0 client does: Authlib, which knows nothing of Tokenward."""

import sys
from urllib.parse import quote_plus

import requests
from authlib.integrations.requests_client import OAuth2Session

url, email, password, token = sys.argv[1:]
found = requests.get(url + "/.well-known/oauth-authorization-server").json()
# What the service calls itself may differ from where it is tested.
introspect = found["introspection_endpoint"].replace(found["issuer"], url)
revoke = found["revocation_endpoint"].replace(found["issuer"], url)


def session(secret):
    return OAuth2Session(email, secret, token_endpoint_auth_method="client_secret_basic")


answer = session(password).introspect_token(introspect, token=token, token_type_hint="access_token")
print(answer.status_code, answer.json()["active"], answer.json()["username"])
# The same client, of the kind that encodes its name and password (RFC 6749, section 2.3.1).
encoding = OAuth2Session(quote_plus(email), quote_plus(password), token_endpoint_auth_method="client_secret_basic")
print(encoding.introspect_token(introspect, token=token).status_code)
print(session("wrong").introspect_token(introspect, token=token).status_code)
print(session(password).revoke_token(revoke, token=token, token_type_hint="access_token").status_code)
answer = session(password).introspect_token(introspect, token=token)
print(answer.status_code, answer.json())
