// An administrator invites a user, who sets a password with the link. The link is shown once and works
// once.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

module.exports = async (harness, options = {}) => {
  const scripts = options.scripts !== false;
  const admin = await harness.newSignedInUser(ADMIN, { scripts });
  const { page } = admin;
  await admin.open("/admin/users/new");
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Name").fill("Ada");
  await page.getByRole("button", { name: "Add user" }).click();
  await admin.expectText("It cannot be shown again.");
  // The service under test has another address than its public URL.
  const read = async () => new URL(await page.locator("#invite-link").innerText()).pathname;
  const first = await read();
  if (scripts) {
    await page.getByRole("button", { name: "Copy the link" }).click();
    await admin.expectText("Copied.");
    assert.ok((await page.evaluate(() => navigator.clipboard.readText())).endsWith(first));
  }
  await page.getByRole("link", { name: "Done" }).click();
  await admin.expectText("Invited");
  await admin.expectNoText(first);

  // Creates another link, which voids the first.
  await page.getByRole("link", { name: "New invite link…" }).click();
  await page.getByRole("button", { name: "Create link" }).click();
  await admin.expectText("It cannot be shown again.");
  const second = await read();
  assert.notEqual(second, first);

  const user = await harness.newUser({ scripts });
  assert.equal((await user.open(first)).status(), 404);
  await user.expectText("This link is not valid");
  await user.open(second);
  await user.expectText("ada@example.com");
  const set = async (password, repeated) => {
    await user.page.getByLabel("New password", { exact: true }).fill(password);
    await user.page.getByLabel("Confirm new password").fill(repeated);
    await user.page.getByRole("button", { name: "Set password" }).click();
  };
  await set(PASSWORD, PASSWORD + "x");
  await user.expectText("The two new passwords do not match.");
  await set(PASSWORD, PASSWORD);
  await user.expectText("Your password is set.");
  assert.equal((await user.open(second)).status(), 404);
  await user.signIn("ada@example.com");
  await user.expectText("You cannot generate tokens.");
  await admin.open("/admin/users?search=ada");
  assert.equal((await admin.rows())[0][1], "Active");
};
