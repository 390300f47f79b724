// An administrator decides, in one browser; what it means is seen in another, at once.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

const NEW_PASSWORD = "a wholly different phrase of words";

module.exports = async (browser, options = {}) => {
  const scripts = options.scripts !== false;
  const admin = await browser.signedIn(ADMIN, { scripts });
  const { page } = admin;

  // Adds somebody, who must change the password first.
  await admin.menu("Admin console");
  await page.getByRole("link", { name: "Add user" }).click();
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Name").fill("Ada");
  await page.getByLabel("First password").fill("short");
  await page.getByRole("button", { name: "Add user" }).click();
  await admin.sees("Password must have from 15 to 128 characters.");
  assert.equal(await page.getByLabel("E-mail").inputValue(), "ada@example.com", "nothing is lost");
  await page.getByLabel("First password").fill(PASSWORD);
  await page.getByRole("button", { name: "Add user" }).click();
  await admin.sees("The user is added.");

  const user = await browser.somebody({ scripts });
  await user.signIn("ada@example.com");
  assert.equal(new URL(user.page.url()).pathname, "/change-password");
  await user.go("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/change-password", "there is nowhere else to go");
  await user.page.getByLabel("Present password").fill(PASSWORD);
  await user.page.getByLabel("New password", { exact: true }).fill(NEW_PASSWORD);
  await user.page.getByLabel("New password again").fill(NEW_PASSWORD);
  await user.page.getByRole("button", { name: "Change password" }).click();
  await user.sees("You cannot generate tokens.");

  // Lets users generate: the other browser sees it with the next page.
  const set = async (label, choice, days) => {
    await admin.go("/admin/settings");
    await page.getByRole("link", { name: `Edit ${label}` }).click();
    await page.getByRole("radio", { name: new RegExp(`^${choice}`) }).check();
    if (days) await page.getByLabel("Days", { exact: true }).fill(days);
    await page.getByRole("button", { name: "Save" }).click();
    await admin.sees("It is in force everywhere.");
  };
  await set("Allow users to generate access tokens", "Enabled");
  await admin.sees("by admin@example.com");
  const { value } = await user.generate({ days: 30, description: "mine" });
  assert.equal(await browser.statusFor(value), 200);

  // The maximum lifetime bounds what is offered, and what is taken.
  await set("Maximum lifetime for user generated access tokens (days)", "At most", "60");
  await admin.sees("60 days");
  await user.go("/preferences/access-tokens/generate");
  await user.sees("At most 60 days");
  await user.doesNotSee("365 days");
  await user.doesNotSee("Never expires");

  // Back to the default, although the field still shows what was set.
  await set("Maximum lifetime for user generated access tokens (days)", "Default");
  await admin.sees("Unlimited");
  await set("Maximum lifetime for user generated access tokens (days)", "At most", "60");

  // Switching off says whom it stops before it is done, and stops them at once; nothing is lost.
  await admin.go("/admin/settings/feature.apiAccessTokens.enabled");
  await admin.sees("1 person’s token stops now");
  await set("API Access Token", "Disabled");
  assert.equal(await browser.statusFor(value), 401);
  await user.go("/preferences/access-tokens");
  await user.sees("switched off in this workspace");
  await set("API Access Token", "Default");
  assert.equal(await browser.statusFor(value), 200);

  // Everybody's tokens: found by the owner, deleted one by one.
  await admin.go("/admin/tokens");
  await page.getByLabel("Search").fill("ada@");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal((await admin.rows()).length, 1);
  assert.ok((await admin.rows())[0][1] === "ada@example.com");
  await page.locator("tbody summary").click();
  await page.getByRole("link", { name: "Delete Token…" }).click();
  await page.getByRole("button", { name: "Delete Token" }).click();
  await admin.sees("The token is deleted.");
  assert.equal(await browser.statusFor(value), 401);
  await user.go("/preferences/activity");
  const deleted = (await user.rows()).find((cells) => cells[1].startsWith("Token deleted"));
  assert.equal(deleted[2], "admin@example.com", "the owner sees who did it");

  // Token access of one person, whatever the workspace says.
  const second = await user.generate({ days: 30 });
  const edit = async (name) => {
    await admin.go("/admin/users?search=ada");
    await page.getByRole("link", { name: `Edit ${name}` }).click();
  };
  await edit("Ada");
  await page.getByRole("group", { name: "Token access" }).getByRole("radio", { name: "Disabled" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.sees("Saved.");
  assert.equal(await browser.statusFor(second.value), 401);
  await user.go("/preferences/access-tokens");
  await user.sees("Your token access is disabled.");
  await page.getByRole("group", { name: "Token access" }).getByRole("radio", { name: "Default" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.sees("Saved.");
  assert.equal(await browser.statusFor(second.value), 200);

  // Disabled: the other browser is signed out, the token is dead; enabled again: the token lives, the session does not.
  await page.getByRole("button", { name: "Disable", exact: true }).click();
  await admin.sees("The account is disabled.");
  assert.equal(await browser.statusFor(second.value), 401);
  await user.go("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/sign-in");
  await page.getByRole("button", { name: "Enable", exact: true }).click();
  await admin.sees("The account is enabled.");
  assert.equal(await browser.statusFor(second.value), 200);
  await user.go("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/sign-in");

  // A quarter of an hour later acts of weight ask for the password, and do nothing without.
  await browser.advance({ minutes: 15 });
  await page.getByRole("link", { name: "Delete all tokens…" }).click();
  await page.getByLabel("Your password").fill("not it");
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await admin.sees("That is not your password.");
  assert.equal(await browser.statusFor(second.value), 200);
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await admin.sees("None of them works any more.");
  assert.equal(await browser.statusFor(second.value), 401);
  // It was proven: the next act does not ask.
  await page.getByRole("link", { name: "Remove…" }).click();
  assert.equal(await page.getByLabel("Your password").count(), 0);
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await admin.sees("The user is removed.");

  // Nobody can lock everybody out.
  await admin.go("/admin/users/1");
  await page.getByRole("radio", { name: "User", exact: true }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.sees("last enabled administrator");

  // Workspaces, for the platform administrator alone.
  await page.getByRole("link", { name: "Workspaces", exact: true }).click();
  await page.getByRole("link", { name: "Add workspace" }).click();
  await page.getByLabel("Name of the workspace").fill("Laboratory");
  await page.getByLabel("Administrator’s e-mail").fill("eve@example.org");
  await page.getByLabel("Administrator’s first password").fill(PASSWORD);
  await page.getByRole("button", { name: "Add workspace" }).click();
  await admin.sees("The workspace is added.");
  await page.getByRole("link", { name: "Edit Laboratory" }).click();
  await page.getByLabel("To confirm").fill("Lab");
  await page.getByRole("button", { name: "Remove workspace" }).click();
  await admin.sees("Nothing was removed.");
  await page.getByLabel("To confirm").fill("Laboratory");
  await page.getByRole("button", { name: "Remove workspace" }).click();
  await admin.sees("The workspace is removed.");
};
