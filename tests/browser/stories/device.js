// A program begins a login, and a person approves it, with and without scripts.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

module.exports = async (harness, options = {}) => {
  const scripts = options.scripts !== false;
  const post = async (path, form) => {
    const headers = { "user-agent": "tokenward/9.9 (<b>build-7</b>)" };
    const response = await fetch(harness.url + path, { method: "POST", headers, body: new URLSearchParams(form) });
    return { status: response.status, body: await response.json() };
  };
  const begin = async (form) => (await post("/oauth2/device_authorization", form)).body;
  const poll = (begun) => post("/oauth2/token", {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code,
  });

  // The person is not signed in, and returns to the page afterwards.
  const begun = await begin({ description: "Nightly <i>export</i>", lifetime: "86400", scope: "reports:read" });
  const user = await harness.newUser({ scripts, size: "phone" });
  const { page } = user;
  const checkAccessibility = async () => {
    if (scripts) await user.checkAccessibility();
  };
  await user.open("/device");
  await page.getByLabel("E-mail").fill(ADMIN);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await user.expectText("Continue only if you started this login yourself.");
  await checkAccessibility();
  await page.getByLabel("Code").fill("BBBB-BBBB");
  await page.getByRole("button", { name: "Continue" }).click();
  await user.expectText("There is no login with this code.");
  await checkAccessibility();
  await page.getByLabel("Code").fill(begun.user_code.toLowerCase().replace("-", " "));
  await page.getByRole("button", { name: "Continue" }).click();
  for (const text of ["Approve this login?", "Nightly <i>export</i>", "(<b>build-7</b>)", "1 day", "reports:read"]) {
    await user.expectText(text);
  }
  await checkAccessibility();
  assert.ok(!page.url().includes(begun.user_code), "the code is not in the address");

  // A while later, the password is asked for.
  await harness.advance({ seconds: 500 });
  const later = await begin({ description: "Later" });
  await harness.advance({ minutes: 9 });
  await user.open("/device");
  await page.getByLabel("Code").fill(later.user_code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Your password").fill("wrong");
  await page.getByRole("button", { name: "Approve" }).click();
  await user.expectText("The password is incorrect.");
  await checkAccessibility();
  assert.equal((await poll(later)).body.error, "authorization_pending");
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Approve" }).click();
  await user.expectText("Login approved");
  await checkAccessibility();
  const issued = await poll(later);
  assert.equal(issued.status, 200);
  assert.equal(await harness.statusWithToken(issued.body.access_token), 200);
  await page.getByRole("link", { name: "Access Tokens" }).last().click();
  await user.expectText("Later");

  // The first one has expired, and the next one is denied.
  assert.equal((await poll(begun)).body.error, "expired_token");
  const denied = await begin({ description: "Denied" });
  await user.open("/device");
  await page.getByLabel("Code").fill(denied.user_code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Deny" }).click();
  await user.expectText("Login denied");
  assert.equal((await poll(denied)).body.error, "access_denied");
};
