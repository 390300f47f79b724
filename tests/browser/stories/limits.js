// Generates a token with scopes, and replaces it, with and without scripts.
"use strict";

const assert = require("node:assert/strict");

module.exports = async (harness, options = {}) => {
  const scripts = options.scripts !== false;
  const user = await harness.newSignedInUser("admin@example.com", { scripts, size: "phone" });
  const { page } = user;
  // axe is a script itself. The same pages are checked with scripts.
  const checkAccessibility = async () => {
    if (scripts) await user.checkAccessibility();
  };

  // A mistake keeps what was entered.
  await user.open("/preferences/access-tokens/generate");
  await page.getByLabel("Description").fill("Report reader");
  if (!scripts) await page.getByRole("radio", { name: "Only these scopes" }).check();
  await page.getByRole("textbox", { name: "Scopes" }).fill("Reports:read");
  assert.ok(await page.getByRole("radio", { name: "Only these scopes" }).isChecked(), "entering scopes selects them");
  await page.getByLabel("Allowed networks").fill("127.0.0.0/8, ::1");
  await page.getByRole("button", { name: "Generate" }).click();
  await user.expectText("is invalid; a scope has");
  await checkAccessibility();
  assert.equal(await page.getByLabel("Allowed networks").inputValue(), "127.0.0.0/8, ::1");
  await page.getByRole("textbox", { name: "Scopes" }).fill("reports:read");
  await page.getByText("Scopes for the API of Tokenward").click();
  await page.getByRole("checkbox", { name: /^tokenward:introspect/ }).check();
  // The list stays open while another field has the focus.
  await page.getByLabel("Description").focus();
  assert.ok(await page.getByRole("checkbox", { name: /^tokenward:introspect/ }).isVisible());
  await page.getByRole("button", { name: "Generate" }).click();
  await user.expectText("It cannot be shown again.");
  await user.expectText("tokenward:introspect");
  const id = await page.locator("#token-id").innerText();
  await checkAccessibility();

  // Replaces it, from the row's menu or without scripts from the page of the token.
  await page.getByRole("link", { name: "Done" }).click();
  await user.expectText("reports:read tokenward:introspect from ");
  if (scripts) await page.locator("td summary").click();
  else await page.getByRole("link", { name: "Report reader" }).click();
  await page.getByRole("link", { name: "Replace this token…" }).click();
  assert.equal(new URL(page.url()).pathname, `/preferences/access-tokens/${id}/replace`);
  assert.ok(await page.getByRole("radio", { name: /^As before: 30 days/ }).isChecked());
  await page.getByLabel("The old token is deleted").selectOption("After 1 hour");
  await checkAccessibility();
  await page.getByRole("button", { name: "Replace" }).click();
  await user.expectText("It cannot be shown again.");
  await checkAccessibility();
  await page.getByRole("link", { name: id }).click();
  await user.expectText("Replaced");
  assert.equal(await page.getByRole("link", { name: "Replace this token…" }).count(), 0);
  await page.getByRole("link", { name: "a newer token" }).click();
  await page.getByRole("link", { name: "Replace this token…" }).waitFor();
  await page.getByRole("link", { name: "← Access Tokens" }).click();
  await user.expectText("by a newer token");
  await checkAccessibility();
};
