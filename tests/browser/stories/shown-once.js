// The value is on one page once: not after a reload, not by going back, not in a second tab, not in the source of any later page,
// not in an address; and no form makes a second token.
"use strict";

const assert = require("node:assert/strict");

module.exports = async (browser) => {
  for (const scripts of [true, false]) await once(browser, scripts);
};

async function once(browser, scripts) {
  const before = (await browser.api("GET", "/v4/apiAccessTokens")).data.length;
  const count = async () => (await browser.api("GET", "/v4/apiAccessTokens")).data.length - before;
  const person = await browser.signedIn(undefined, { scripts });
  const { page, context } = person;
  const seen = [];
  const answers = [];
  page.on("response", async (response) => {
    seen.push(response.url());
    answers.push(JSON.stringify(await response.allHeaders().catch(() => ({}))));
  });
  const { value } = await person.generate({ days: 1 });
  assert.equal(await count(), 1);
  assert.ok(!(await page.title()).includes(value.slice(4)));

  // Reload: Chromium sends the form again. It makes nothing, shows nothing, and says so.
  await page.reload();
  await person.sees("This form has made its token already.");
  assert.ok(!(await page.content()).includes(value));
  assert.equal(await count(), 1);

  // Back and forth through the history.
  for (const step of ["goBack", "goBack", "goForward", "goForward"]) {
    // Going forward to the answer of a form Chromium shows a page of its own, or none: that is an error for the one who drives it.
    await page[step]({ waitUntil: "load" }).catch(() => {});
    await page.waitForLoadState("load").catch(() => {});
    const text = await page.waitForFunction(() => document.documentElement.outerHTML).then((html) => html.jsonValue());
    assert.ok(!text.includes(value), `${step} to ${page.url()}`);
  }
  assert.equal(await count(), 1);

  // A second tab of the same browser, and every page that can be gone to from here.
  const tab = await context.newPage();
  person.watch(tab);
  for (const path of [
    "/preferences/access-tokens", "/preferences/access-tokens/generate", "/preferences/profile", "/preferences/activity",
    "/admin/tokens", "/admin/users", "/admin/users/1", "/admin/activity", "/admin/settings",
  ]) {
    const response = await tab.goto(path);
    assert.ok(!(await response.text()).includes(value), path);
  }
  // Nothing of it is kept by the browser: no address, no header, no cookie, no storage.
  for (const text of [...seen, ...answers]) assert.ok(!text.includes(value.slice(4)), text);
  assert.ok(!JSON.stringify(await context.storageState()).includes(value.slice(4)));

  // The button pressed twice, as quickly as can be, makes one token.
  await page.goto("/preferences/access-tokens/generate");
  await page.getByRole("button", { name: "Generate" }).dblclick({ noWaitAfter: true });
  await page.waitForLoadState("load");
  await page.locator("#token-value, .notice.bad").first().waitFor();
  assert.equal(await count(), 2);

  // A form that was left open while its session ended makes nothing in the next session.
  await page.goto("/preferences/access-tokens/generate");
  const old = await page.locator("input[name=form]").getAttribute("value");
  await person.menu("Sign out");
  await person.sees("You are signed out.");
  await browser.advance({ seconds: 1 });
  await person.signIn("admin@example.com");
  await page.goto("/preferences/access-tokens/generate");
  if (scripts) {
    await page.locator("input[name=form]").evaluate((input, value) => { input.value = value; }, old);
    await page.getByRole("button", { name: "Generate" }).click();
    await person.sees("Your session has changed since this page was opened. Nothing was generated.");
    assert.equal(await count(), 2);
  }
}
