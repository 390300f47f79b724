"""Signs in through LemonLDAP::NG by OpenID Connect and by SAML: run.py [TOKENWARD].

TOKENWARD is the built service, target/release/tokenward by default. Needs the Debian packages that
scripts/soak installs. LemonLDAP::NG is at http://localhost, and the service at http://127.0.0.1, which are two
hosts for cookies. All files are in a temporary folder.
"""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from browser import Browser
from lemonldap import FRESH_SECONDS, LemonLdap, certified_key

CONFIG = """public_url = "{service}"

[sso.login]
kind = "openid-connect"
issuer = "{issuer}"
client_id = "tokenward"
client_secret_file = "{folder}/oidc-secret"

[[sso.login.allow]]
group = "timelords"
workspace = 1
token_access = "enabled"

[sso.company]
kind = "saml"
metadata_file = "{folder}/idp.xml"
sign_requests_key = "{folder}/requests.pem"

[[sso.company.allow]]
group = "timelords"
workspace = 1
token_access = "enabled"
"""


class Programs:
    """The programs of the test, each in a process group of its own."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def start(self, name, command, environment):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TOKENWARD_", "RUST_LOG"))}
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=clean | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def stop(self, process):
        self.running.remove(process)
        if process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop_all(self):
        for process in list(self.running):
            self.stop(process)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def load(url, process):
    """Loads a URL of a program that is starting."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            with opener.open(url, timeout=30) as response:
                return response.read().decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def authenticate(browser, page, login):
    """Sends the password at LemonLDAP::NG, and returns the page of the service that follows."""
    return back(browser, browser.submit(page, "password", user=login, password=login))


def back(browser, page):
    """By SAML, a form that a script submits brings the response to the service."""
    is_response = any("SAMLResponse" in form["fields"] for form in page.forms)
    return browser.submit(page, "SAMLResponse") if is_response else page


def begin(service, provider, login):
    """Follows the link of the sign-in page, and signs in at LemonLDAP::NG."""
    browser = Browser()
    page = browser.open(f"{service}/sign-in?next=/preferences/profile")
    links = [link for link in page.links if link.startswith(f"/sign-in/{provider}")]
    assert links, page.links
    return browser, authenticate(browser, browser.follow(page, links[0]), login)


def check_profile(page, service, provider, email):
    assert page.url == f"{service}/preferences/profile", f"{page.url}: {page.text[:600]}"
    assert email in page.text and 'value="Doctor Who"' in page.body, page.text
    assert f"You sign in through {provider} as " in page.text, page.text


def check_token(service, browser, provider):
    """Generates a token on the pages, and checks that it works."""
    page = browser.open(f"{service}/preferences/access-tokens/generate")
    page = browser.submit(page, "description", description=f"by {provider}")
    token = re.search(r"twd_[A-Za-z0-9_]+", page.body)
    assert token, f"{page.url}: {page.text[:600]}"
    check = urllib.request.Request(f"{service}/v4/auth", headers={"Authorization": f"Bearer {token[0]}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(check, timeout=30) as response:
        assert response.status == 200


def check_confirmation(service, browser, provider, email):
    """Confirms at LemonLDAP::NG, which asks for the password in spite of its session."""
    time.sleep(FRESH_SECONDS + 1.1)
    session = browser.cookies["127.0.0.1"]["tokenward"]
    page = browser.open(f"{service}/sign-in/{provider}/confirm?next=/preferences/profile")
    page = authenticate(browser, browser.submit(page, "forceUpgrade"), "dwho")
    check_profile(page, service, provider, email)
    assert browser.cookies["127.0.0.1"]["tokenward"] != session


def check_sign_out(service, browser, provider_url):
    """Signs out here, and by OpenID Connect at LemonLDAP::NG, too."""
    page = browser.open(f"{service}/preferences/profile")
    assert any(form["action"] == "/sign-out" for form in page.forms), page.text
    page = browser.open(f"{service}/sign-out", {"submit": ""}, page.url)
    away = [link for link in page.links if link.startswith(provider_url)]
    if away:
        page = browser.submit(browser.open(away[0]), "confirm")
    assert page.url == f"{service}/sign-in?out=yes", f"{page.url}: {page.text[:600]}"
    assert "tokenward" not in browser.cookies["127.0.0.1"]
    return bool(away)


def check_accepted(service, provider, email, provider_url):
    browser, page = begin(service, provider, "dwho")
    check_profile(page, service, provider, email)
    check_token(service, browser, provider)
    print(f"{provider}: dwho signed in as {email}, and generated a token that works")
    check_confirmation(service, browser, provider, email)
    both = check_sign_out(service, browser, provider_url)
    assert both == (provider == "login")
    page = browser.open(f"{provider_url}/")
    assert any("password" in form["fields"] for form in page.forms) == both, page.text
    print(f"{provider}: dwho confirmed by password, and signed out {'of both' if both else 'here'}")


def check_rejected(service, provider):
    browser, page = begin(service, provider, "rtyler")
    assert page.status == 403 and "in no group that may sign in" in page.text, f"{page.status} {page.text[:600]}"
    page = browser.open(f"{service}/preferences/profile")
    assert page.url.startswith(f"{service}/sign-in"), page.url
    print(f"{provider}: rtyler was rejected, in no group that may sign in")


def run(folder, programs, program):
    portal_port, service_port = free_ports(2)
    service, secret = f"http://127.0.0.1:{service_port}", secrets.token_urlsafe(32)
    provider = LemonLdap(folder / "lemonldap", portal_port, programs.start)
    provider.add_openid_client(service, "login", secret)
    portal = provider.start()
    (folder / "idp.xml").write_text(load(f"{provider.url}/saml/metadata", portal))
    (folder / "oidc-secret").write_text(secret)
    (folder / "requests.pem").write_text("".join(certified_key(folder / "requests")))
    (folder / "tokenward.toml").write_text(CONFIG.format(service=service, issuer=provider.url, folder=folder))
    for name in ("oidc-secret", "requests.pem", "tokenward.toml"):
        (folder / name).chmod(0o600)
    server = programs.start(
        "tokenward",
        [program, "serve", "--config", "tokenward.toml", "--listen", f"127.0.0.1:{service_port}"],
        {"TOKENWARD_DATABASE__URL": f"sqlite:{folder}/tokenward.db"},
    )
    provider.add_saml_service(load(f"{service}/sign-in/company/metadata", server))
    # LemonLDAP::NG reads its configuration at the start.
    programs.stop(portal)
    load(f"{provider.url}/.well-known/openid-configuration", provider.start())
    for name, email in (("login", "dwho@badwolf.org"), ("company", "dwho@saml.example.com")):
        check_accepted(service, name, email, provider.url)
        check_rejected(service, name)


def main():
    # An interrupted run ends its programs, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program = Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/tokenward").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = Programs(folder)
        try:
            run(folder, programs, program)
        except BaseException:
            for log in folder.glob("*.log"):
                print(f"== {log.name}\n{log.read_text(errors='replace')[-6000:]}", file=sys.stderr)
            raise
        finally:
            programs.stop_all()
    print("LemonLDAP::NG: all checks passed")


if __name__ == "__main__":
    main()
