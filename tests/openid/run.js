// Signs in through a real OpenID provider in a real Chromium: node run.js FOLDER.
//
// FOLDER has server.pem and server.key, for localhost and tokens.example. The provider is at
// https://localhost, and the service at https://tokens.example, which are two sites for the browser. The
// first line of output has both ports. The test then sends the address of the service on standard input.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");
const readline = require("node:readline");
const { checkToken, forward, launch, listen, newPage } = require("./browser.js");

/** The accounts at the provider, by the login that is typed. */
const ACCOUNTS = {
  ada: { email: "ada@example.com", email_verified: true, name: "Ada Lovelace", groups: ["token-users"] },
  mallory: { email: "admin@example.com", email_verified: true, name: "Mallory", groups: ["token-admins"] },
  stranger: { email: "stranger@example.com", email_verified: true, name: "Stranger", groups: [] },
};

/** The address of the service. */
let serviceUrl;

async function main() {
  const folder = process.argv[2];
  const tls = {
    cert: fs.readFileSync(path.join(folder, "server.pem")),
    key: fs.readFileSync(path.join(folder, "server.key")),
  };
  const proxy = await listen(https.createServer(tls, (request, response) => forward(serviceUrl, request, response)));
  const origin = `https://tokens.example:${proxy.address().port}`;
  const provider = https.createServer(tls);
  await listen(provider);
  provider.on("request", await createProvider(`https://localhost:${provider.address().port}`, origin));
  process.stdout.write(`${provider.address().port} ${proxy.address().port}\n`);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  serviceUrl = (await lines.next()).value;

  const browser = await launch();
  try {
    for (const scripts of [true, false]) await signInAndOut(browser, origin, scripts);
    await assertRejected(browser, origin, "mallory", /Another account here has your e-mail address/);
    await assertRejected(browser, origin, "stranger", /in no group that may sign in/);
  } finally {
    await browser.close();
  }
}

/** A person signs in, generates a token, and signs out of both. The token goes on working. */
async function signInAndOut(browser, origin, scripts) {
  const { context, page } = await newPage(browser, origin, scripts);
  await page.goto("/preferences/profile");
  await beginSignIn(page, "ada");
  await page.waitForURL(`${origin}/preferences/profile`);
  assert.match(await page.textContent("body"), /ada@example\.com/);
  const names = (await context.cookies(origin)).map((cookie) => cookie.name);
  assert.ok(names.includes("__Host-tokenward") && !names.includes("__Host-tokenward-flow"), names.join());
  await page.goto("/preferences/access-tokens/generate");
  await page.getByRole("button", { name: "Generate", exact: false }).first().click();
  const value = (await page.content()).match(/twd_[A-Za-z0-9_]+/)[0];
  assert.equal(await checkToken(serviceUrl, value), 200);
  await page.locator("summary").filter({ hasText: "Ada" }).first().click();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  // The page continues at the provider, which asks before it ends its own session.
  await page.waitForURL(/^https:\/\/localhost/);
  await page.getByRole("button", { name: /sign me out/i }).click();
  await page.waitForURL(`${origin}/sign-in?out=yes`);
  assert.match(await page.textContent("body"), /You are signed out/);
  assert.equal(await checkToken(serviceUrl, value), 200);
  await context.close();
}

async function assertRejected(browser, origin, login, text) {
  const { context, page } = await newPage(browser, origin, true);
  await page.goto("/sign-in");
  await beginSignIn(page, login);
  await page.waitForURL((url) => url.origin === origin);
  assert.match(await page.textContent("body"), text);
  assert.ok(!(await context.cookies(origin)).some((cookie) => cookie.name === "__Host-tokenward"));
  await context.close();
}

/** Follows the link to the provider, signs in there, and gives consent. */
async function beginSignIn(page, login) {
  await page.getByRole("link", { name: "Sign in with login" }).click();
  await page.waitForURL(/^https:\/\/localhost.*interaction/);
  await page.locator("input[name=login]").fill(login);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  const consent = page.getByRole("button", { name: "Continue" });
  if (page.url().startsWith("https://localhost")) await consent.click();
}

async function createProvider(issuer, origin) {
  const { Provider } = await import(path.join(process.env.OPENID_MODULES, "oidc-provider/lib/index.js"));
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "tokenward",
      client_secret: "secret",
      redirect_uris: [`${origin}/sign-in/login/callback`],
      post_logout_redirect_uris: [`${origin}/sign-in?out=yes`],
    }],
    claims: {
      openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"], groups: ["groups"],
    },
    scopes: ["openid", "profile", "email", "groups"],
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `subject-of-${id}`, preferred_username: id, ...ACCOUNTS[id] }),
    }),
  });
  return provider.callback();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
