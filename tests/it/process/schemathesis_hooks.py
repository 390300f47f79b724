"""Keeps the random requests going: those that would end the tour are sent to others.

The caller is the first administrator, by e-mail and password. A request that changes this password, or that switches tokens off for
everybody, is a right one, but whatever comes after it is answered 401 or 404.
"""

import uuid

import schemathesis

#: A person that the test has added.
SOMEBODY_ELSE = "2"
#: Others, and workspaces, for the first deletions: random ids hit them by accident only.
DELETABLE = {"deletePerson": iter(("4", "6", "8")), "deleteWorkspace": iter(("3", "4", "5"))}


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    if operation == "createApiAccessToken":
        key = (case.headers or {}).get("Idempotency-Key")
        # The same key with another body is refused, which no schema can say; a wrong key stays wrong.
        if isinstance(key, str) and 16 <= len(key) <= 255 and all("!" <= character <= "~" for character in key):
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if operation in DELETABLE and str((case.path_parameters or {}).get("id")).isdigit():
        case.path_parameters["id"] = next(DELETABLE[operation], case.path_parameters["id"])
    if operation == "patchPerson" and str((case.path_parameters or {}).get("id")) in ("1", "current"):
        case.path_parameters["id"] = SOMEBODY_ELSE
    if operation == "patchWorkspaceConfiguration" and isinstance(case.body, dict):
        settings = case.body.get("configuration")
        for setting in settings if isinstance(settings, list) else []:
            if isinstance(setting, dict) and setting.get("key") == "feature.apiAccessTokens.enabled" and setting.get("value") is False:
                setting["value"] = True
