// A user changes their name, password and web sessions. A password change ends all other sessions
// but keeps tokens.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

const NEW_PASSWORD = "a wholly different phrase of words";

module.exports = async (harness) => {
  const user = await harness.newSignedInUser();
  const { page } = user;
  const { value } = await user.generateToken();

  await user.open("/preferences/profile");
  await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
  await page.getByRole("button", { name: "Save" }).click();
  await user.expectText("Saved.");
  await user.expectText("Ada Lovelace");

  // Lists a session in another browser, and ends it.
  const other = await harness.newSignedInUser();
  await user.open("/preferences/profile");
  await page.getByRole("button", { name: /^Sign out of/ }).click();
  await user.expectText("The browser was signed out.");
  await other.open("/preferences/profile");
  assert.equal(new URL(other.page.url()).pathname, "/sign-in");
  await other.signIn(ADMIN);

  const changePassword = async (present, next, repeated = next) => {
    await page.getByLabel("Current password").fill(present);
    await page.getByLabel("New password", { exact: true }).fill(next);
    await page.getByLabel("Confirm new password").fill(repeated);
    await page.getByRole("button", { name: "Change password" }).click();
  };
  await changePassword("wrong", NEW_PASSWORD);
  await user.expectText("The current password is incorrect.");
  await changePassword(PASSWORD, NEW_PASSWORD, "another");
  await user.expectText("The two new passwords do not match.");
  const cookie = async () => (await user.context.cookies()).find(({ name }) => name === "tokenward");
  const before = await cookie();
  assert.ok(before.httpOnly && before.sameSite === "Lax" && before.expires === -1);
  await changePassword(PASSWORD, NEW_PASSWORD);
  await user.expectText("Your password was changed.");
  assert.notEqual((await cookie()).value, before.value, "the session has a new cookie");

  // Other sessions have ended. Tokens still work, and the page links to their deletion.
  await other.open("/preferences/profile");
  assert.equal(new URL(other.page.url()).pathname, "/sign-in");
  assert.equal(await harness.statusWithToken(value), 200);
  await page.getByRole("link", { name: "Delete all my tokens…" }).click();
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await user.expectText("They no longer work.");
  assert.equal(await harness.statusWithToken(value), 401);

  // After 30 idle minutes the session has expired. Signing in returns to the requested page.
  await harness.advance({ minutes: 30 });
  await user.open("/admin/users?search=ada");
  await page.getByLabel("E-mail").fill(ADMIN);
  await page.getByLabel("Password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname + url.search === "/admin/users?search=ada");
};
