"""Redirects the generated requests after which all further ones would fail.

The caller is the first administrator, with e-mail address and password. After a request that changes this password, or
that disables tokens for the workspace, every request would fail with 401 or 404.
"""

import os
import uuid

import schemathesis

#: The ID of a person that the test has created.
OTHER_PERSON = "2"
#: The ID of a service account that the test has created, with trust rules.
SERVICE_ACCOUNT = os.environ.get("TOKENWARD_TEST_ACCOUNT", "")
#: Rules of it, and JWTs that one of them accepts.
RULES = iter(os.environ.get("TOKENWARD_TEST_RULES", "").split())
JWTS = iter(os.environ.get("TOKENWARD_TEST_JWTS", "").split())
#: IDs for the first deletions, because generated IDs rarely exist.
DELETABLE = {"deletePerson": iter(("4", "6", "8")), "deleteWorkspace": iter(("3", "4", "5"))}

#: Codes of device authorizations that a person has approved, because generated codes do not exist.
DEVICE_CODES = iter(os.environ.get("TOKENWARD_TEST_DEVICE_CODES", "").split())
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    if operation == "createApiAccessToken":
        key = (case.headers or {}).get("Idempotency-Key")
        # Reusing a key with another body is an error that no schema can express. Invalid keys are
        # kept.
        if isinstance(key, str) and 16 <= len(key) <= 255 and all("!" <= character <= "~" for character in key):
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if operation == "createTokenByGrant" and isinstance(case.body, dict) and case.body.get("grant_type") == DEVICE_GRANT:
        code = next(DEVICE_CODES, None)
        if code:
            case.body["device_code"] = code
    if operation in DELETABLE and str((case.path_parameters or {}).get("id")).isdigit():
        case.path_parameters["id"] = next(DELETABLE[operation], case.path_parameters["id"])
    if operation == "patchPerson" and str((case.path_parameters or {}).get("id")) in ("1", "current"):
        case.path_parameters["id"] = OTHER_PERSON
    if operation in ("listTrustRules", "createTrustRule", "deleteTrustRule"):
        if str((case.path_parameters or {}).get("id")).isdigit():
            case.path_parameters["id"] = SERVICE_ACCOUNT
            if "ruleId" in case.path_parameters:
                case.path_parameters["ruleId"] = next(RULES, case.path_parameters["ruleId"])
    if operation == "invitePerson" and str((case.path_parameters or {}).get("id")) == SERVICE_ACCOUNT:
        case.path_parameters["id"] = OTHER_PERSON
    if operation == "createTokenByGrant" and isinstance(case.body, dict) and case.body.get("audience") == "deploy":
        case.body["subject_token"] = next(JWTS, case.body.get("subject_token"))
    if operation == "patchWorkspaceConfiguration" and isinstance(case.body, dict):
        settings = case.body.get("configuration")
        for setting in settings if isinstance(settings, list) else []:
            if isinstance(setting, dict) and setting.get("key") == "feature.apiAccessTokens.enabled" and setting.get("value") is False:
                setting["value"] = True
