// A token's value appears on one page exactly once: not after a reload, in the history, in a second
// tab, in the source of a later page or in an address. One form creates at most one token.
"use strict";

const assert = require("node:assert/strict");

module.exports = async (harness) => {
  for (const scripts of [true, false]) await checkShownOnce(harness, scripts);
};

async function checkShownOnce(harness, scripts) {
  const before = (await harness.api("GET", "/v4/apiAccessTokens")).data.length;
  const count = async () => (await harness.api("GET", "/v4/apiAccessTokens")).data.length - before;
  const user = await harness.newSignedInUser(undefined, { scripts });
  const { page, context } = user;
  const urls = [];
  const responseHeaders = [];
  page.on("response", async (response) => {
    urls.push(response.url());
    responseHeaders.push(JSON.stringify(await response.allHeaders().catch(() => ({}))));
  });
  const { value } = await user.generateToken({ days: 1 });
  assert.equal(await count(), 1);
  assert.ok(!(await page.title()).includes(value.slice(4)));

  // A reload sends the form again. The service creates no token, does not show the value, and says
  // so.
  await page.reload();
  await user.expectText("Your token was created and shown once.");
  assert.ok(!(await page.content()).includes(value));
  assert.equal(await count(), 1);

  // Moves back and forth in the history.
  for (const step of ["goBack", "goBack", "goForward", "goForward"]) {
    // Going forward to a form's response, Chromium shows a page of its own or none, which
    // Playwright reports as an error.
    await page[step]({ waitUntil: "load" }).catch(() => {});
    await page.waitForLoadState("load").catch(() => {});
    const text = await page.waitForFunction(() => document.documentElement.outerHTML).then((html) => html.jsonValue());
    assert.ok(!text.includes(value), `${step} to ${page.url()}`);
  }
  assert.equal(await count(), 1);

  // Opens the other pages in a second tab of the same browser.
  const tab = await context.newPage();
  user.watch(tab);
  for (const path of [
    "/preferences/access-tokens", "/preferences/access-tokens/generate", "/preferences/profile", "/preferences/activity",
    "/admin/tokens", "/admin/users", "/admin/users/1", "/admin/activity", "/admin/settings",
  ]) {
    const response = await tab.goto(path);
    assert.ok(!(await response.text()).includes(value), path);
  }
  // The value is in no address, header, cookie or browser storage.
  for (const text of [...urls, ...responseHeaders]) assert.ok(!text.includes(value.slice(4)), text);
  assert.ok(!JSON.stringify(await context.storageState()).includes(value.slice(4)));

  // A double click on the button creates one token.
  await page.goto("/preferences/access-tokens/generate");
  await page.getByRole("button", { name: "Generate" }).dblclick({ noWaitAfter: true });
  await page.waitForLoadState("load");
  await page.locator("#token-value, .notice.bad").first().waitFor();
  assert.equal(await count(), 2);

  // A form that was opened in a session that has ended creates no token in the next one.
  await page.goto("/preferences/access-tokens/generate");
  const old = await page.locator("input[name=form]").getAttribute("value");
  await user.chooseFromUserMenu("Sign out");
  await user.expectText("You are signed out.");
  await harness.advance({ seconds: 1 });
  await user.signIn("admin@example.com");
  await page.goto("/preferences/access-tokens/generate");
  if (scripts) {
    await page.locator("input[name=form]").evaluate((input, value) => { input.value = value; }, old);
    await page.getByRole("button", { name: "Generate" }).click();
    await user.expectText("Your session has changed since this page was opened. Nothing was generated.");
    assert.equal(await count(), 2);
  }
}
