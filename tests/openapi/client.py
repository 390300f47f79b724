"""Uses the client that openapi-python-client generated from the document of the running service."""

import base64
import sys
import uuid

from tokenward_client import AuthenticatedClient, Client
from tokenward_client.api.api_access_tokens import (
    create_api_access_token,
    delete_api_access_token,
    get_api_access_token,
    list_api_access_tokens,
)
from tokenward_client.api.health import get_readiness
from tokenward_client.api.people import get_current_person
from tokenward_client.api.workspaces import get_workspace_configuration, patch_workspace_configuration
from tokenward_client.models import (
    CreatedToken,
    CreateToken,
    Error,
    GetWorkspaceConfigurationKey,
    Health,
    PatchSettings,
    Person,
    SetSetting,
    SettingKey,
    Token,
    TokenList,
    TokenStatus,
    Updated,
)

url, email, password = sys.argv[1:]


def error_name(response: object) -> str:
    """Returns the name of an error, and fails for any other response."""
    assert isinstance(response, Error), response
    assert response.exception.message and response.exception.details.endswith("."), response
    return response.exception.name


health = get_readiness.sync(client=Client(url))
assert isinstance(health, Health) and health.status == "ok", health

basic = base64.b64encode(f"{email}:{password}".encode()).decode()
by_password = AuthenticatedClient(url, basic, prefix="Basic")
request = CreateToken(lifetime_seconds=3600, description="generated client")
created = create_api_access_token.sync(client=by_password, body=request)
assert isinstance(created, CreatedToken), created
token_id = created.token_info.token_id
by_token = AuthenticatedClient(url, created.token_value)

person = get_current_person.sync(client=by_token)
assert isinstance(person, Person) and person.email == email, person
# Always present, though it may be null.
assert person.sso_principal is None and person.last_login_time is not None, person

tokens = list_api_access_tokens.sync(client=by_token, include_count=True)
assert isinstance(tokens, TokenList) and tokens.count == len(tokens.data) == 1, tokens
row: Token = tokens.data[0]
assert (row.token_id, row.description, row.status) == (token_id, "generated client", TokenStatus.ACTIVE), row
assert row.expired_at is not None and (row.expired_at - row.created_at).total_seconds() == 3600, row

key = SettingKey.FEATURE_APIACCESSTOKENS_MAXLIFETIMEDAYS
patch = PatchSettings(configuration=[SetSetting(key=key, value=365)])
updated = patch_workspace_configuration.sync("current", client=by_token, body=patch)
assert isinstance(updated, Updated) and updated.id == 1, updated
settings = get_workspace_configuration.sync("current", client=by_token, key=GetWorkspaceConfigurationKey(key.value))
assert isinstance(settings, list) and len(settings) == 1, settings
assert (settings[0].value, settings[0].effective_value, settings[0].source) == (365, 365, "workspace"), settings
too_long = CreateToken(lifetime_seconds=366 * 86400)
assert error_name(create_api_access_token.sync(client=by_token, body=too_long)) == "ValidationFailed"

missing = get_api_access_token.sync_detailed(uuid.uuid4(), client=by_token)
assert missing.status_code == 404 and error_name(missing.parsed) == "DataNotFoundException", missing

deleted = delete_api_access_token.sync_detailed(token_id, client=by_token)
assert deleted.status_code == 204, deleted
denied = list_api_access_tokens.sync_detailed(client=by_token)
assert denied.status_code == 401 and error_name(denied.parsed) == "MissingPersonException", denied
print("completed")
