// Signs in through a real SAML provider in a real Chromium: node run.js FOLDER PORT.
//
// FOLDER has server.pem and server.key, for localhost and tokens.example. PORT is that of SimpleSAMLphp. The
// provider is at https://localhost, and the service at https://tokens.example, which are two sites for the
// browser. The first line of output has both ports. The test then sends the address of the service on standard
// input.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");
const readline = require("node:readline");
const { checkToken, forward, launch, listen, newPage } = require("../openid/browser.js");

/** The address of the service. */
let serviceUrl;

async function main() {
  const [folder, port] = process.argv.slice(2);
  const tls = {
    cert: fs.readFileSync(path.join(folder, "server.pem")),
    key: fs.readFileSync(path.join(folder, "server.key")),
  };
  const serve = (target) => listen(https.createServer(tls, (request, response) => forward(target(), request, response)));
  const proxy = await serve(() => serviceUrl);
  const provider = await serve(() => `http://127.0.0.1:${port}`);
  const origin = `https://tokens.example:${proxy.address().port}`;
  process.stdout.write(`${provider.address().port} ${proxy.address().port}\n`);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  serviceUrl = (await lines.next()).value;

  const browser = await launch();
  try {
    for (const scripts of [true, false]) await signInAndOut(browser, origin, scripts);
    await assertRejected(browser, origin);
  } finally {
    await browser.close();
  }
}

/** A person signs in, confirms at the provider, generates a token, and signs out here. The token goes on working. */
async function signInAndOut(browser, origin, scripts) {
  const { context, page } = await newPage(browser, origin, scripts);
  await page.goto("/preferences/profile");
  await page.getByRole("link", { name: "Sign in with company" }).click();
  await authenticate(page, "ada", scripts);
  await page.waitForURL(`${origin}/preferences/profile`);
  assert.match(await page.textContent("body"), /ada@example\.com/);
  const first = await sessionCookie(context, origin);
  const names = (await context.cookies(origin)).map((cookie) => cookie.name);
  assert.ok(first && !names.includes("__Host-tokenward-flow"), names.join());
  // The provider has a session of its own, and asks for the password nevertheless.
  await page.goto("/sign-in/company/confirm?next=/preferences/profile");
  await authenticate(page, "ada", scripts);
  await page.waitForURL(`${origin}/preferences/profile`);
  assert.notEqual(await sessionCookie(context, origin), first);
  await page.goto("/preferences/access-tokens/generate");
  await page.getByRole("button", { name: "Generate", exact: false }).first().click();
  const value = (await page.content()).match(/twd_[A-Za-z0-9_]+/)[0];
  assert.equal(await checkToken(serviceUrl, value), 200);
  await page.locator("summary").filter({ hasText: "Ada" }).first().click();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${origin}/sign-in?out=yes`);
  assert.equal(await sessionCookie(context, origin), undefined);
  assert.equal(await checkToken(serviceUrl, value), 200);
  // The session at the provider goes on: no password is asked for.
  await page.getByRole("link", { name: "Sign in with company" }).click();
  if (!scripts) await page.locator("noscript button").click();
  await page.waitForURL((url) => url.origin === origin && url.pathname.startsWith("/preferences"));
  await context.close();
}

async function assertRejected(browser, origin) {
  const { context, page } = await newPage(browser, origin, true);
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Sign in with company" }).click();
  await authenticate(page, "eve", true);
  await page.waitForURL((url) => url.origin === origin);
  assert.match(await page.textContent("body"), /in no group that may sign in/);
  assert.equal(await sessionCookie(context, origin), undefined);
  await context.close();
}

/** Sends the password at the provider. Without scripts, a button posts its response. */
async function authenticate(page, login, scripts) {
  await page.waitForURL(/^https:\/\/localhost.*loginuserpass/);
  await page.locator("input[name=username]").fill(login);
  await page.locator("input[name=password]").fill(`${login}-password`);
  await page.locator("input[name=password]").press("Enter");
  if (!scripts) await page.locator("noscript button").click();
}

async function sessionCookie(context, origin) {
  return (await context.cookies(origin)).find((cookie) => cookie.name === "__Host-tokenward")?.value;
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
