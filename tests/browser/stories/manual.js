// The manual's steps, as somebody follows them who has its text and nothing else.
"use strict";

const assert = require("node:assert/strict");
const { PASSWORD } = require("../browser.js");

module.exports = async (browser, options = {}) => {
  const scripts = options.scripts !== false;
  const email = "ada@example.com";
  const { id: ada } = await browser.api("POST", "/v4/people", { email, name: "Ada", password: PASSWORD });

  // The feature is on; by default only administrators may generate. Whoever may not is told why, and whom to ask.
  const person = await browser.signedIn(email, { scripts });
  const { page } = person;
  await person.sees("You cannot generate tokens.");
  await person.sees("Ask admin@example.com");
  assert.equal(await page.getByRole("link", { name: "Generate New Token" }).count(), 0);
  await browser.api("PATCH", `/v4/people/${ada}`, { tokenAccess: "enabled" });

  // 1. User menu > Preferences.
  await person.menu("Preferences");
  // 2. Access Tokens.
  await page.getByRole("link", { name: "Access Tokens", exact: true }).first().click();
  // 3. Generate New Token.
  await page.getByRole("link", { name: "Generate New Token" }).first().click();
  // 4. The lifetime in days.
  await page.getByLabel("Custom").check();
  await page.getByLabel("Lifetime in days").fill("2");
  // 5. A description, which may be left out.
  await page.getByLabel("Description").fill("My 2-day token");
  // 6. Generate.
  await page.getByRole("button", { name: "Generate" }).click();
  await person.sees("It cannot be shown again.");
  // 7. The value is copied, and kept where it is safe.
  const value = (await page.locator("#token-value").innerText()).trim();
  const id = (await page.locator("#token-id").innerText()).trim();
  assert.match(value, /^twd_[0-9A-Za-z]{49}$/);
  if (scripts) {
    await page.getByRole("button", { name: "Copy the token", exact: false }).click();
    await person.sees("Copied");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  } else {
    assert.equal(await page.getByRole("button", { name: "Copy" }).count(), 0, "a button that could do nothing");
  }
  const command = await page.locator("#token-curl").innerText();
  assert.equal(command, `curl -H 'Authorization: Bearer ${value}' ${browser.url}/v4/people/current`);

  // It opens the API, with the rights of its owner.
  assert.equal(await browser.statusFor(value), 200);
  assert.equal(await browser.statusFor(value, "/v4/people"), 403);

  // The id can be read again at any time, and so can what was noted; the value cannot.
  await page.getByRole("link", { name: "Done" }).click();
  const [row] = await person.rows();
  assert.ok(row[0].includes(id) && row[0].includes(value.slice(0, 8)), row[0]);
  assert.deepEqual(row.slice(1, 3), ["My 2-day token", "Expires soon"]);
  assert.notEqual(row[5], "Never", "a use is seen");
  assert.ok(!(await page.content()).includes(value));
  // 2026-01-01T00:00 UTC is an hour later in Zurich; where scripts are off it is said in UTC.
  assert.equal(row[3], scripts ? "1 Jan 2026, 01:00" : "2026-01-01 00:00:00Z");
  assert.equal(row[4], scripts ? "3 Jan 2026, 01:00" : "2026-01-03 00:00:00Z");
  if (scripts) assert.equal(await page.locator("tbody time").first().getAttribute("title"), "2026-01-01 00:00:00 UTC");

  // A token that never expires, by the manual's -1.
  await browser.advance({ seconds: 1 });
  const forever = await person.generate({ days: -1 });
  await page.getByRole("link", { name: "Done" }).click();
  assert.equal((await person.rows())[0][4], "Never");

  // Search and filter are plain forms.
  await page.getByLabel("Search").fill("2-DAY");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal((await person.rows()).length, 1);
  await page.getByLabel("Status").selectOption("expired");
  await page.getByRole("button", { name: "Filter" }).click();
  await person.sees("Nothing found");
  await page.getByRole("link", { name: "Show all" }).click();
  assert.equal((await person.rows()).length, 2);

  // Two days later, to the millisecond: it is refused, and said to be expired. It stays in the list.
  await browser.advance({ days: 1, hours: 23, minutes: 59, seconds: 58 });
  assert.equal(await browser.statusFor(value), 200);
  await browser.advance({ seconds: 1 });
  assert.equal(await browser.statusFor(value), 401);
  await page.goto("/preferences/access-tokens");
  await person.signIn(email);
  const expired = (await person.rows()).find((cells) => cells[0].includes(id));
  assert.equal(expired[2], "Expired");

  // Delete Token…, from the row's menu: it asks, names the token, and what follows.
  assert.equal(await browser.statusFor(forever.value), 200);
  const menu = page.locator("tbody tr", { hasText: forever.id }).locator("summary");
  await menu.click();
  await page.locator("tbody tr", { hasText: forever.id }).getByRole("link", { name: "Delete Token…" }).click();
  await person.sees(forever.id);
  await person.sees("cannot be undone");
  await person.sees("stops working at once");
  await page.getByRole("link", { name: "Keep it" }).click();
  assert.equal((await person.rows()).length, 2);
  await menu.click();
  await page.locator("tbody tr", { hasText: forever.id }).getByRole("link", { name: "Delete Token…" }).click();
  await page.getByRole("button", { name: "Delete Token" }).click();
  await person.sees("The token is deleted.");
  assert.equal((await person.rows()).length, 1);
  assert.equal(await browser.statusFor(forever.value), 401);

  // What happened is written down.
  await page.getByRole("link", { name: "Activity", exact: true }).click();
  const told = (await person.rows()).map((cells) => cells[1]);
  assert.ok(told[0].startsWith("Token deleted"), told[0]);
  assert.equal(told.filter((text) => text.startsWith("Token generated")).length, 2);

  await person.menu("Sign out");
  await person.sees("You are signed out.");
  await page.goto("/preferences/access-tokens");
  assert.equal(new URL(page.url()).pathname, "/sign-in");
};
