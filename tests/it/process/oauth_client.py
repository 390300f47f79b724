"""Discovers the endpoints, introspects and revokes with a stock OAuth 2.0 client (Authlib)."""

import sys
from urllib.parse import quote_plus

import requests
from authlib.integrations.requests_client import OAuth2Session

url, email, password, token = sys.argv[1:]
metadata = requests.get(url + "/.well-known/oauth-authorization-server").json()
# Without a configured public URL, the issuer is the address of the listener.
assert metadata["issuer"] == url, metadata
introspect, revoke = metadata["introspection_endpoint"], metadata["revocation_endpoint"]


def session(secret):
    return OAuth2Session(email, secret, token_endpoint_auth_method="client_secret_basic")


response = session(password).introspect_token(introspect, token=token, token_type_hint="access_token")
print(response.status_code, response.json()["active"], response.json()["username"])
# The same client with form-encoded credentials (RFC 6749, section 2.3.1).
encoding = OAuth2Session(quote_plus(email), quote_plus(password), token_endpoint_auth_method="client_secret_basic")
print(encoding.introspect_token(introspect, token=token).status_code)
print(session("wrong").introspect_token(introspect, token=token).status_code)
print(session(password).revoke_token(revoke, token=token, token_type_hint="access_token").status_code)
response = session(password).introspect_token(introspect, token=token)
print(response.status_code, response.json())
