// The test harness for the browser stories: a Chromium, the users in it and checks of what a page
// shows.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const PASSWORD = "correct horse battery staple";
const ADMIN = "admin@example.com";
/** The folder for screenshots. */
const SCREENSHOTS = path.join(__dirname, "../../target/screenshots");

const WIDTHS = {
  wide: { width: 1280, height: 800 },
  phone: { width: 360, height: 740 },
  tablet: { width: 768, height: 1024 },
  small: { width: 1024, height: 768 },
  large: { width: 1920, height: 1080 },
};

/**
 * A running Chromium, the address of the service under test and a channel to the test that started
 * both.
 */
class Harness {
  static async launch(url, sendCommand) {
    const chromiumBrowser = await chromium.launch({
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      ],
    });
    return new Harness(chromiumBrowser, url, sendCommand);
  }

  constructor(chromiumBrowser, url, sendCommand) {
    this.chromium = chromiumBrowser;
    this.url = url;
    this.sendCommand = sendCommand;
    this.consoleErrors = [];
    this.users = [];
  }

  /** Advances the service's clock. */
  async advance({ seconds = 0, minutes = 0, hours = 0, days = 0 }) {
    await this.sendCommand(`advance ${seconds + 60 * (minutes + 60 * (hours + 24 * days))}`);
  }

  /** Opens a browser context that is not signed in. */
  async newUser({ scripts = true, scheme = "light", size = "wide", zone = "Europe/Zurich" } = {}) {
    const context = await this.chromium.newContext({
      baseURL: this.url, javaScriptEnabled: scripts, colorScheme: scheme, viewport: WIDTHS[size],
      timezoneId: zone, locale: "en-GB", permissions: scripts ? ["clipboard-read", "clipboard-write"] : [],
    });
    context.setDefaultTimeout(15000);
    const user = new User(this, context, await context.newPage());
    this.users.push(user);
    return user;
  }

  /** Opens a browser context and signs in. */
  async newSignedInUser(email = ADMIN, options = {}) {
    const user = await this.newUser(options);
    await user.signIn(email);
    return user;
  }

  /** Calls the API with e-mail and password, and returns the JSON of a successful response. */
  async api(method, path, body, email = ADMIN, password = PASSWORD) {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: "Basic " + Buffer.from(`${email}:${password}`).toString("base64"),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Calls the API with a token and returns the status. */
  async statusWithToken(value, path = "/v4/people/current") {
    const response = await fetch(this.url + path, { headers: { authorization: `Bearer ${value}` } });
    return response.status;
  }

  /** Asserts that no page logged an error or a warning. */
  assertNoConsoleErrors() {
    assert.deepEqual(this.consoleErrors, []);
  }

  async saveFailureScreenshots(story) {
    fs.mkdirSync(SCREENSHOTS, { recursive: true });
    for (const [number, { page }] of this.users.entries()) {
      console.error(`browser ${number} was at ${page.url()}`);
      await page.screenshot({ path: path.join(SCREENSHOTS, `failed-${story}-${number}.png`) }).catch(() => {});
    }
  }

  async close() {
    await this.chromium.close();
  }
}

/** A user with a browser context of their own; `page` is the current tab. */
class User {
  constructor(harness, context, page) {
    this.harness = harness;
    this.context = context;
    this.watch(page);
    this.page = page;
    context.on("page", (other) => this.watch(other));
  }

  /**
   * Records console errors (which include CSP violations), script errors and failed loads of a
   * page.
   */
  watch(page) {
    page.on("console", (message) => {
      // Chromium also logs the status of the page itself. A story may visit error pages, so only
      // subresources count (below).
      const isErrorStatus = /^Failed to load resource: the server responded with a status of [45]\d\d/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isErrorStatus) {
        this.harness.consoleErrors.push(`${page.url()}: ${message.text()}`);
      }
    });
    page.on("response", (response) => {
      if (response.status() >= 400 && !response.request().isNavigationRequest()) {
        this.harness.consoleErrors.push(`${page.url()} loads ${response.url()}: status ${response.status()}`);
      }
    });
    page.on("requestfailed", (request) => {
      // Chromium aborts pending loads when the page is left.
      const reason = request.failure().errorText;
      if (!request.isNavigationRequest() && reason !== "net::ERR_ABORTED") {
        this.harness.consoleErrors.push(`${page.url()} loads ${request.url()}: ${reason}`);
      }
    });
    page.on("pageerror", (error) => this.harness.consoleErrors.push(`${page.url()}: ${error}`));
  }

  async signIn(email, password = PASSWORD) {
    await this.page.goto("/sign-in");
    await this.page.getByLabel("E-mail").fill(email);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.waitForURL((url) => url.pathname !== "/sign-in");
  }

  async open(path) {
    return await this.page.goto(path);
  }

  /** Selects an entry of the user menu. */
  async chooseFromUserMenu(label) {
    await this.page.getByText("User menu:").locator("..").click();
    await this.page.locator(".user .menu-list").getByText(label, { exact: true }).click();
  }

  /**
   * Generates a token by the steps of the manual, starting from any page; returns its value and ID.
   */
  async generateToken({ days = null, description = "" } = {}) {
    await this.chooseFromUserMenu("Preferences");
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

  /** Returns the rows of the table on the page, each as the texts of its cells. */
  async rows() {
    return await this.page.locator("tbody tr").evaluateAll(
      (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/\s+/g, " "))));
  }

  async expectText(text) {
    await this.page.getByText(text).first().waitFor();
  }

  async expectNoText(text) {
    assert.equal(await this.page.getByText(text).count(), 0, text);
  }

  /**
   * Asserts that axe has no serious or critical finding and that nothing overflows the viewport or
   * its card.
   */
  async checkAccessibility() {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((n) => n.html).join(" | ")}`);
    const serious = found.filter((text) => /^(serious|critical)/.test(text));
    assert.deepEqual(serious, [], this.page.url());
    const [contentWidth, windowWidth] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(contentWidth <= windowWidth, `${this.page.url()} is ${contentWidth} px wide in a window of ${windowWidth} px`);
    const overflows = await this.page.locator(".table").evaluateAll(
      (tables) => tables.map((table) => table.scrollWidth - table.parentElement.clientWidth).filter((excess) => excess > 0));
    assert.deepEqual(overflows, [], `${this.page.url()} has a table that overflows its card`);
  }

  /** Takes a screenshot if `scripts/screenshots` runs the story. */
  async takeScreenshot(name) {
    if (!process.env.TOKENWARD_PICTURES) return;
    fs.mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
  }
}

module.exports = { Harness, PASSWORD, ADMIN };
