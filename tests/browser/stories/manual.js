// The steps of the user manual, word for word.
"use strict";

const assert = require("node:assert/strict");
const { PASSWORD } = require("../browser.js");

module.exports = async (harness, options = {}) => {
  const scripts = options.scripts !== false;
  const email = "ada@example.com";
  const { id: ada } = await harness.api("POST", "/v4/people", { email, name: "Ada", password: PASSWORD });

  // By default only administrators may generate tokens. Other users see the reason and whom to
  // contact.
  const user = await harness.newSignedInUser(email, { scripts });
  const { page } = user;
  await user.expectText("You cannot generate tokens.");
  await user.expectText("Ask admin@example.com");
  assert.equal(await page.getByRole("link", { name: "Generate New Token" }).count(), 0);
  await harness.api("PATCH", `/v4/people/${ada}`, { tokenAccess: "enabled" });

  // 1. User menu > Preferences.
  await user.chooseFromUserMenu("Preferences");
  // 2. Access Tokens.
  await page.getByRole("link", { name: "Access Tokens", exact: true }).first().click();
  // 3. Generate New Token.
  await page.getByRole("link", { name: "Generate New Token" }).first().click();
  // 4. The lifetime in days.
  await page.getByLabel("Custom").check();
  await page.getByLabel("Lifetime in days").fill("2");
  // 5. An optional description.
  await page.getByLabel("Description").fill("My 2-day token");
  // 6. Generate.
  await page.getByRole("button", { name: "Generate" }).click();
  await user.expectText("It cannot be shown again.");
  // 7. Copy the value.
  const value = (await page.locator("#token-value").innerText()).trim();
  const id = (await page.locator("#token-id").innerText()).trim();
  assert.match(value, /^twd_[0-9A-Za-z]{49}$/);
  if (scripts) {
    await page.getByRole("button", { name: "Copy the token", exact: false }).click();
    await user.expectText("Copied");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  } else {
    assert.equal(await page.getByRole("button", { name: "Copy" }).count(), 0, "no copy button without JavaScript");
  }
  const command = await page.locator("#token-curl").innerText();
  assert.equal(command, `curl -H 'Authorization: Bearer ${value}' ${harness.url}/v4/people/current`);

  // The token authenticates API requests with the rights of its owner.
  assert.equal(await harness.statusWithToken(value), 200);
  assert.equal(await harness.statusWithToken(value, "/v4/people"), 403);

  // The list shows the token's ID and details, but never the value.
  await page.getByRole("link", { name: "Done" }).click();
  const [row] = await user.rows();
  assert.ok(row[0].startsWith("My 2-day token") && row[0].includes(value.slice(0, 8)), row[0]);
  assert.equal(row[1], "Active");
  assert.notEqual(row[3], "Never", "the last use is shown");
  assert.ok(!(await page.content()).includes(value));
  // JavaScript shows times relative to now, with the exact one in the browser's zone (here Zurich,
  // UTC+1) as a tooltip. Without it they are shown in UTC.
  assert.equal(row[2], scripts ? "in 2 days" : "2026-01-03 00:00:00Z");
  if (scripts) assert.match(await page.locator("tbody time").first().getAttribute("title"), /^3 Jan 2026, 01:00:00/);

  // The page of the token shows its ID and its history.
  await page.getByRole("link", { name: "My 2-day token" }).click();
  await user.expectText(id);
  await user.expectText("Token generated");
  await page.getByRole("link", { name: "← Access Tokens" }).click();

  // A lifetime of -1 creates a token that never expires.
  await harness.advance({ seconds: 1 });
  const unlimited = await user.generateToken({ days: -1 });
  await page.getByRole("link", { name: "Done" }).click();
  assert.equal((await user.rows())[0][2], "Never");

  // Search and filter work without JavaScript.
  await page.getByLabel("Search").fill("2-DAY");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal((await user.rows()).length, 1);
  await page.getByRole("link", { name: /^Expired/ }).click();
  await user.expectText("Nothing found");
  await page.getByRole("link", { name: "Show all" }).click();
  assert.equal((await user.rows()).length, 2);

  // After exactly two days the token is rejected, and the list shows it as expired.
  await harness.advance({ days: 1, hours: 23, minutes: 59, seconds: 58 });
  assert.equal(await harness.statusWithToken(value), 200);
  await harness.advance({ seconds: 1 });
  assert.equal(await harness.statusWithToken(value), 401);
  await page.goto("/preferences/access-tokens");
  await user.signIn(email);
  assert.equal((await user.rows()).length, 1);
  await page.getByRole("link", { name: /^Expired/ }).click();
  assert.equal((await user.rows())[0][1], "Expired");
  await page.getByRole("link", { name: /^Active/ }).click();

  // Deletes a token from the row's menu. The confirmation page names the token and the
  // consequences.
  assert.equal(await harness.statusWithToken(unlimited.value), 200);
  const unlimitedRow = page.locator("tbody tr", { hasText: unlimited.value.slice(0, 8) });
  const menu = unlimitedRow.locator("summary");
  await menu.click();
  await unlimitedRow.getByRole("link", { name: "Delete Token…" }).click();
  await user.expectText(unlimited.id);
  await user.expectText("cannot be undone");
  await user.expectText("stops working immediately");
  await page.getByRole("link", { name: "Cancel" }).click();
  assert.equal((await user.rows()).length, 1);
  await menu.click();
  await unlimitedRow.getByRole("link", { name: "Delete Token…" }).click();
  await page.getByRole("button", { name: "Delete Token" }).click();
  await user.expectText(`Deleted ${unlimited.value.slice(0, 8)}…`);
  assert.equal(await page.locator("tbody tr").count(), 0);
  assert.equal(await harness.statusWithToken(unlimited.value), 401);

  // The activity page lists the events.
  await page.getByRole("link", { name: "Activity", exact: true }).click();
  const events = (await user.rows()).filter((cells) => cells.length === 3).map((cells) => cells[1]);
  assert.ok(events[0].startsWith("Token deleted"), events[0]);
  assert.equal(events.filter((text) => text.startsWith("Token generated")).length, 2);

  await user.chooseFromUserMenu("Sign out");
  await user.expectText("You are signed out.");
  await page.goto("/preferences/access-tokens");
  assert.equal(new URL(page.url()).pathname, "/sign-in");
};
