"""A small browser: cookies by host, redirects, and HTML forms."""

import re
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Page(HTMLParser):
    """A response whose forms and links are read."""

    def __init__(self, url, status, headers, body):
        super().__init__()
        self.url, self.status, self.headers, self.body = url, status, headers, body
        self.forms, self.links, self.text, self.hidden_depth = [], [], "", 0
        self.feed(body)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "style"):
            self.hidden_depth += 1
        elif tag == "form":
            self.forms.append({"action": attributes.get("action") or "", "fields": {}})
        elif tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag == "input" and self.forms and "name" in attributes and "disabled" not in attributes:
            is_choice = attributes.get("type") in ("checkbox", "radio")
            if not is_choice or "checked" in attributes:
                self.forms[-1]["fields"][attributes["name"]] = attributes.get("value") or ""

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.hidden_depth -= 1

    def handle_data(self, data):
        if not self.hidden_depth:
            self.text += " " + data

    def form(self, field):
        """Returns the form that has this field."""
        found = [form for form in self.forms if field in form["fields"]]
        assert found, f"no field {field} at {self.url} ({self.status}): {self.text[:600]}"
        return found[0]


class Browser:
    """Keeps cookies by host, as a browser does: the port does not count."""

    def __init__(self):
        self.cookies = {}
        self.opener = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))

    def open(self, url, data=None, referrer=None):
        """Requests a URL and follows redirects."""
        for _ in range(10):
            page = self.request(url, data, referrer)
            location = page.headers.get("Location")
            if not (300 <= page.status < 400 and location):
                return page
            url, data = urllib.parse.urljoin(url, location), None
        raise AssertionError(f"too many redirects: {url}")

    def request(self, url, data=None, referrer=None):
        parts = urllib.parse.urlsplit(url)
        jar = self.cookies.setdefault(parts.hostname, {})
        request = urllib.request.Request(url, data and urllib.parse.urlencode(data).encode())
        if jar:
            request.add_header("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items()))
        request.add_header("Accept", "text/html")
        if data and referrer:
            origin = urllib.parse.urlsplit(referrer)
            request.add_header("Origin", f"{origin.scheme}://{origin.netloc}")
            request.add_header("Referer", referrer)
        try:
            response = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            for cookie in response.headers.get_all("Set-Cookie") or []:
                self.store(jar, cookie)
            return Page(url, response.status, response.headers, response.read().decode())

    @staticmethod
    def store(jar, cookie):
        name, _, value = cookie.split(";")[0].strip().partition("=")
        if value and not re.search(r";\s*max-age=0\b|;\s*expires=[^;]*\b1970\b", cookie, re.IGNORECASE):
            jar[name] = value
        else:
            jar.pop(name, None)

    def submit(self, page, field, **values):
        """Submits the form of a page that has this field."""
        form = page.form(field)
        action = urllib.parse.urljoin(page.url, form["action"] if form["action"] != "#" else "")
        return self.open(action, form["fields"] | values, page.url)

    def follow(self, page, path):
        """Follows the link of a page to this path."""
        assert path in page.links, f"no link to {path} at {page.url}: {page.links}"
        return self.open(urllib.parse.urljoin(page.url, path))
