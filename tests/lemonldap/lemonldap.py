"""LemonLDAP::NG in a folder of its own: an OpenID provider and a SAML provider with the people of its demo."""

import json
import subprocess
from pathlib import Path

PACKAGED = Path("/var/lib/lemonldap-ng/conf/lmConf-1.json")
# A person who authenticated within this time is not asked again, whatever a request demands.
FRESH_SECONDS = 1
PORTAL = "/usr/share/lemonldap-ng/portal/htdocs/index.psgi"
INI = """[all]
logLevel = warn
checkTime = 1
[configuration]
type = File
dirName = {folder}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'config', 'cache_root' => '{folder}/cache' }}
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
"""


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def certified_key(path):
    """Creates a key and its certificate, and returns both as PEM."""
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-keyout", str(key), "-out", str(certificate),
    )
    return key.read_text(), certificate.read_text()


class LemonLdap:
    def __init__(self, folder, port, run):
        """`run` starts a program that is ended with the test."""
        self.folder, self.port, self.run = folder, port, run
        self.url = f"http://localhost:{port}"
        for name in ("conf", "cache", "sessions/lock", "psessions/lock", "notifications"):
            (folder / name).mkdir(parents=True)
        (folder / "lemonldap-ng.ini").write_text(INI.format(folder=folder))
        self.config = json.loads(PACKAGED.read_text())
        self.config |= self.base() | self.openid_keys() | self.saml_keys()

    def base(self):
        def storage(name):
            return {"Directory": f"{self.folder}/{name}", "LockDirectory": f"{self.folder}/{name}/lock"}

        generate = {"generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"}
        return {
            "portal": f"{self.url}/",
            "domain": "localhost",
            "portalForceAuthnInterval": FRESH_SECONDS,
            "globalStorageOptions": storage("sessions") | generate,
            "persistentStorageOptions": storage("psessions"),
            "notificationStorageOptions": {"dirName": f"{self.folder}/notifications"},
            "localSessionStorageOptions": {"namespace": "sessions", "cache_root": f"{self.folder}/cache"},
            "issuerDBOpenIDConnectActivation": 1,
            "issuerDBSAMLActivation": 1,
            # An e-mail address identifies one account of the service, so SAML sends another.
            "macros": self.config["macros"] | {"samlMail": "$uid . '@saml.example.com'"},
        }

    def openid_keys(self):
        key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        (self.folder / "openid.key").write_text(key)
        return {
            "oidcServicePrivateKeySig": key,
            "oidcServicePublicKeySig": openssl("rsa", "-in", f"{self.folder}/openid.key", "-pubout"),
            "oidcServiceKeyIdSig": "soak",
            "oidcServiceMetaDataIssuer": self.url,
        }

    def saml_keys(self):
        key, certificate = certified_key(self.folder / "saml")
        return {
            "samlServicePrivateKeySig": key,
            "samlServicePublicKeySig": certificate,
            "samlServiceSignatureMethod": "RSA_SHA256",
            "samlServiceUseCertificateInResponse": 1,
        }

    def add_openid_client(self, service_url, provider, secret):
        self.config |= {
            "oidcRPMetaDataOptions": {"tokenward": {
                "oidcRPMetaDataOptionsClientID": "tokenward",
                "oidcRPMetaDataOptionsClientSecret": secret,
                "oidcRPMetaDataOptionsRedirectUris": f"{service_url}/sign-in/{provider}/callback",
                "oidcRPMetaDataOptionsPostLogoutRedirectUris": f"{service_url}/sign-in?out=yes",
                "oidcRPMetaDataOptionsRequirePKCE": 1,
                "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
                "oidcRPMetaDataOptionsIDTokenForceClaims": 1,
                "oidcRPMetaDataOptionsBypassConsent": 1,
            }},
            "oidcRPMetaDataExportedVars": {"tokenward": {
                "email": "mail", "name": "cn", "groups": "groups;string;always",
            }},
            "oidcRPMetaDataOptionsExtraClaims": {"tokenward": {"groups": "groups"}},
        }

    def add_saml_service(self, metadata):
        self.config |= {
            "samlSPMetaDataXML": {"tokenward": {"samlSPMetaDataXML": metadata}},
            "samlSPMetaDataOptions": {"tokenward": {
                "samlSPMetaDataOptionsNameIDFormat": "persistent",
                "samlSPMetaDataOptionsSignSSOMessage": 1,
                "samlSPMetaDataOptionsSignatureMethod": "RSA_SHA256",
                "samlSPMetaDataOptionsCheckSSOMessageSignature": 1,
            }},
            "samlSPMetaDataExportedAttributes": {"tokenward": {
                "samlMail": "1;email", "cn": "1;name", "groups": "1;groups",
            }},
        }

    def start(self):
        """Starts the portal with the current configuration, and returns its process."""
        (self.folder / "conf/lmConf-1.json").write_text(json.dumps(self.config))
        return self.run(
            "lemonldap",
            ["plackup", "-s", "Starman", "-E", "deployment", "--workers", "2", "--host", "127.0.0.1",
             "--port", str(self.port), PORTAL],
            {"LLNG_DEFAULTCONFFILE": f"{self.folder}/lemonldap-ng.ini"},
        )
