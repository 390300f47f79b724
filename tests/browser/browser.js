// What stories speak with: people in browsers, and what they see.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const PASSWORD = "correct horse battery staple";
const ADMIN = "admin@example.com";
/** Where pictures go. */
const PICTURES = path.join(__dirname, "../../target/screenshots");

const WIDTHS = { wide: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

class Browser {
  static async launch(url, ask) {
    const chromiumBrowser = await chromium.launch({
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      ],
    });
    return new Browser(chromiumBrowser, url, ask);
  }

  constructor(chromiumBrowser, url, ask) {
    this.chromium = chromiumBrowser;
    this.url = url;
    this.ask = ask;
    this.complaints = [];
    this.people = [];
  }

  /** Moves the service's clock. */
  async advance({ seconds = 0, minutes = 0, hours = 0, days = 0 }) {
    await this.ask(`advance ${seconds + 60 * (minutes + 60 * (hours + 24 * days))}`);
  }

  /** A new browser with nobody signed in. */
  async somebody({ scripts = true, scheme = "light", size = "wide", zone = "Europe/Zurich" } = {}) {
    const context = await this.chromium.newContext({
      baseURL: this.url, javaScriptEnabled: scripts, colorScheme: scheme, viewport: WIDTHS[size],
      timezoneId: zone, locale: "en-GB", permissions: scripts ? ["clipboard-read", "clipboard-write"] : [],
    });
    context.setDefaultTimeout(15000);
    const person = new Person(this, context, await context.newPage());
    this.people.push(person);
    return person;
  }

  /** A new browser in which somebody is signed in. */
  async signedIn(email = ADMIN, options = {}) {
    const person = await this.somebody(options);
    await person.signIn(email);
    return person;
  }

  /** Calls the API by e-mail and password. */
  async api(method, path, body, email = ADMIN, password = PASSWORD) {
    const reply = await fetch(this.url + path, {
      method,
      headers: {
        authorization: "Basic " + Buffer.from(`${email}:${password}`).toString("base64"),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      body: body && JSON.stringify(body),
    });
    const text = await reply.text();
    assert.ok(reply.ok, `${method} ${path}: ${reply.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Calls the API with a token; gives the status. */
  async statusFor(value, path = "/v4/people/current") {
    const reply = await fetch(this.url + path, { headers: { authorization: `Bearer ${value}` } });
    return reply.status;
  }

  /** Nothing was written to any console that should not be there. */
  assertQuiet() {
    assert.deepEqual(this.complaints, []);
  }

  async keepTraces(story) {
    fs.mkdirSync(PICTURES, { recursive: true });
    for (const [number, { page }] of this.people.entries()) {
      console.error(`browser ${number} was at ${page.url()}`);
      await page.screenshot({ path: path.join(PICTURES, `failed-${story}-${number}.png`) }).catch(() => {});
    }
  }

  async close() {
    await this.chromium.close();
  }
}

class Person {
  constructor(browser, context, page) {
    this.browser = browser;
    this.context = context;
    this.watch(page);
    this.page = page;
    context.on("page", (other) => this.watch(other));
  }

  /** Chromium reports on its console what the page's policy forbids, and what cannot be loaded. */
  watch(page) {
    page.on("console", (message) => {
      // A page that is refused is shown to the reader, and that it was refused is no fault of the page; what a page loads must be there.
      const isRefusal = /^Failed to load resource: the server responded with a status of [45]\d\d/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isRefusal) {
        this.browser.complaints.push(`${page.url()}: ${message.text()}`);
      }
    });
    page.on("response", (response) => {
      if (response.status() >= 400 && !response.request().isNavigationRequest()) {
        this.browser.complaints.push(`${page.url()} loads ${response.url()}, which is answered ${response.status()}`);
      }
    });
    page.on("requestfailed", (request) => {
      // What is still loading when the page is left is given up: a form or link that is followed by another, or a picture.
      const reason = request.failure().errorText;
      if (!request.isNavigationRequest() && reason !== "net::ERR_ABORTED") {
        this.browser.complaints.push(`${page.url()} loads ${request.url()}: ${reason}`);
      }
    });
    page.on("pageerror", (error) => this.browser.complaints.push(`${page.url()}: ${error}`));
  }

  async signIn(email, password = PASSWORD) {
    await this.page.goto("/sign-in");
    await this.page.getByLabel("E-mail").fill(email);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.waitForURL((url) => url.pathname !== "/sign-in");
  }

  async go(path) {
    return await this.page.goto(path);
  }

  /** Chooses from the user menu. */
  async menu(word) {
    await this.page.getByText("User menu:").locator("..").click();
    await this.page.locator(".user .menu-list").getByText(word, { exact: true }).click();
  }

  /** Generates a token as the manual says, from wherever the person is; gives value and id. */
  async generate({ days = null, description = "" } = {}) {
    await this.menu("Preferences");
    await this.page.getByRole("link", { name: "Access Tokens", exact: true }).first().click();
    await this.page.getByRole("link", { name: "Generate New Token" }).first().click();
    if (days !== null) {
      await this.page.getByLabel("Custom").check();
      await this.page.getByLabel("Lifetime in days").fill(String(days));
    }
    await this.page.getByLabel("Description").fill(description);
    await this.page.getByRole("button", { name: "Generate" }).click();
    return { value: await this.page.locator("#token-value").innerText(), id: await this.page.locator("#token-id").innerText() };
  }

  /** The rows of the table that is shown, each as the texts of its cells. */
  async rows() {
    return await this.page.locator("tbody tr").evaluateAll(
      (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/\s+/g, " "))));
  }

  async sees(text) {
    await this.page.getByText(text).first().waitFor();
  }

  async doesNotSee(text) {
    assert.equal(await this.page.getByText(text).count(), 0, text);
  }

  /** No serious finding of axe, and nothing wider than the page. */
  async judge() {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((n) => n.html).join(" | ")}`);
    const serious = found.filter((text) => /^(serious|critical)/.test(text));
    assert.deepEqual(serious, [], this.page.url());
    const [wanted, given] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wanted <= given, `${this.page.url()} is ${wanted} wide in a window of ${given}`);
    const beyond = await this.page.locator(".table").evaluateAll(
      (tables) => tables.map((table) => table.scrollWidth - table.parentElement.clientWidth).filter((more) => more > 0));
    assert.deepEqual(beyond, [], `${this.page.url()} has a table that is wider than its card`);
  }

  /** Takes a picture for people to look at, where scripts/screenshots asks for them. */
  async picture(name) {
    if (!process.env.TOKENWARD_PICTURES) return;
    fs.mkdirSync(PICTURES, { recursive: true });
    await this.page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
  }
}

module.exports = { Browser, PASSWORD, ADMIN };
