// An administrator changes users, settings and tokens in one browser; the effect shows at once in
// another.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

const NEW_PASSWORD = "a wholly different phrase of words";

module.exports = async (harness, options = {}) => {
  const scripts = options.scripts !== false;
  const admin = await harness.newSignedInUser(ADMIN, { scripts });
  const { page } = admin;

  // Adds a user, who must change the password at the first sign-in.
  await page.getByRole("link", { name: "Admin console" }).click();
  await page.getByRole("link", { name: "Add user" }).click();
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Name").fill("Ada");
  assert.ok(await page.getByRole("radio", { name: /^Send an invite link/ }).isChecked());
  assert.ok(!(await page.getByLabel("Temporary password", { exact: true }).isVisible()), "the password belongs to the other choice");
  await page.getByRole("radio", { name: /^Set a temporary password/ }).check();
  await page.getByLabel("Temporary password", { exact: true }).fill("short");
  await page.getByRole("button", { name: "Add user" }).click();
  await admin.expectText("Password must have from 15 to 128 characters.");
  assert.equal(await page.getByLabel("E-mail").inputValue(), "ada@example.com", "the form keeps what was entered");
  await page.getByLabel("Temporary password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Add user" }).click();
  await admin.expectText("The user was added.");

  const user = await harness.newUser({ scripts });
  await user.signIn("ada@example.com");
  assert.equal(new URL(user.page.url()).pathname, "/change-password");
  await user.open("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/change-password", "every page redirects to the password change");
  await user.page.getByLabel("Current password").fill(PASSWORD);
  await user.page.getByLabel("New password", { exact: true }).fill(NEW_PASSWORD);
  await user.page.getByLabel("Confirm new password").fill(NEW_PASSWORD);
  await user.page.getByRole("button", { name: "Change password" }).click();
  await user.expectText("You cannot generate tokens.");

  // Allows users to generate tokens; the other browser sees it on its next page.
  const saveSetting = async (label, choice, days) => {
    await admin.open("/admin/settings");
    await page.getByRole("link", { name: `Edit ${label}` }).click();
    await page.getByRole("radio", { name: new RegExp(`^${choice}`) }).check();
    if (days) await page.getByLabel("Days", { exact: true }).fill(days);
    await page.getByRole("button", { name: "Save" }).click();
    await admin.expectText("takes effect everywhere");
  };
  await saveSetting("Allow users to generate access tokens", "Enabled");
  await admin.expectText("by admin@example.com");
  const { value } = await user.generateToken({ days: 30, description: "mine" });
  assert.equal(await harness.statusWithToken(value), 200);

  // The maximum lifetime limits the lifetimes that the form offers.
  await saveSetting("Maximum lifetime for user generated access tokens (days)", "At most", "60");
  await admin.expectText("60 days");
  await user.open("/preferences/access-tokens/generate");
  await user.expectText("At most 60 days");
  await user.expectNoText("365 days");
  await user.expectNoText("Never expires");

  // Resets the setting while the days field still holds the old value.
  await saveSetting("Maximum lifetime for user generated access tokens (days)", "Unlimited");
  await admin.expectText("Unlimited");
  await saveSetting("Maximum lifetime for user generated access tokens (days)", "At most", "60");

  // The page says how many people are affected before the feature is disabled. Enabling it again
  // restores all tokens.
  await admin.open("/admin/settings/feature.apiAccessTokens.enabled");
  await admin.expectText("1 token of 1 person stops working");
  await saveSetting("API Access Token", "Disabled");
  assert.equal(await harness.statusWithToken(value), 401);
  await user.open("/preferences/access-tokens");
  await user.expectText("switched off in this workspace");
  await admin.open("/admin/settings/feature.apiAccessTokens.enabled");
  await page.getByRole("button", { name: "Reset to default (Enabled)" }).click();
  await admin.expectText("takes effect everywhere");
  assert.equal(await harness.statusWithToken(value), 200);

  // Finds a token by its owner among all tokens, and deletes it.
  await admin.open("/admin/tokens");
  await page.getByLabel("Search").fill("ada@");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal((await admin.rows()).length, 1);
  assert.ok((await admin.rows())[0][1] === "ada@example.com");
  await page.locator("tbody summary").click();
  await page.getByRole("link", { name: "Delete Token…" }).click();
  await page.getByRole("button", { name: "Delete Token" }).click();
  await admin.expectText("Deleted “mine”");
  assert.equal(await harness.statusWithToken(value), 401);
  await user.open("/preferences/activity");
  const deleted = (await user.rows()).find((cells) => cells[1]?.startsWith("Token deleted"));
  assert.ok(deleted[2].startsWith("admin@example.com"), "the owner's activity names the administrator");

  // Token access of one user overrides the workspace setting.
  const second = await user.generateToken({ days: 30 });
  const editUser = async (name) => {
    await admin.open("/admin/users?search=ada");
    await page.getByRole("link", { name: `Edit ${name}` }).click();
  };
  await editUser("Ada");
  await page.getByRole("group", { name: "Token access" }).getByRole("radio", { name: "Disabled" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.expectText("Saved.");
  assert.equal(await harness.statusWithToken(second.value), 401);
  await user.open("/preferences/access-tokens");
  await user.expectText("Your token access is disabled.");
  await page.getByRole("group", { name: "Token access" }).getByRole("radio", { name: "Default" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.expectText("Saved.");
  assert.equal(await harness.statusWithToken(second.value), 200);

  // Disabling an account ends its sessions and rejects its tokens. Enabling it restores the tokens
  // only.
  await page.getByRole("link", { name: "Disable…" }).click();
  await admin.expectText("1 token stops working");
  await page.getByRole("button", { name: "Disable", exact: true }).click();
  await admin.expectText("The account was disabled.");
  assert.equal(await harness.statusWithToken(second.value), 401);
  await user.open("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/sign-in");
  await page.getByRole("button", { name: "Enable", exact: true }).click();
  await admin.expectText("The account was enabled.");
  assert.equal(await harness.statusWithToken(second.value), 200);
  await user.open("/preferences/access-tokens");
  assert.equal(new URL(user.page.url()).pathname, "/sign-in");

  // After 15 minutes sensitive operations require re-authentication.
  await harness.advance({ minutes: 15 });
  await page.getByRole("link", { name: "Delete all tokens…" }).click();
  await page.getByLabel("Your password").fill("not it");
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await admin.expectText("The password is incorrect.");
  assert.equal(await harness.statusWithToken(second.value), 200);
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await admin.expectText("They no longer work.");
  assert.equal(await harness.statusWithToken(second.value), 401);
  // The re-authentication covers the next operation.
  await page.getByRole("link", { name: "Remove…" }).click();
  assert.equal(await page.getByLabel("Your password").count(), 0);
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await admin.expectText("The user was removed.");

  // The last administrator cannot be demoted.
  await admin.open("/admin/users/1");
  await page.getByRole("radio", { name: "Member", exact: true }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await admin.expectText("last enabled administrator");

  // A platform administrator manages workspaces.
  await page.getByRole("link", { name: "Workspaces", exact: true }).click();
  await page.getByRole("link", { name: "Add workspace" }).click();
  await page.getByLabel("Workspace name").fill("Laboratory");
  await page.getByLabel("Administrator’s e-mail").fill("eve@example.org");
  await page.getByLabel("Administrator’s initial password").fill(PASSWORD);
  await page.getByRole("button", { name: "Add workspace" }).click();
  await admin.expectText("The workspace was added.");
  await page.getByRole("link", { name: "Edit Laboratory" }).click();
  await page.getByLabel("To confirm").fill("Lab");
  await page.getByRole("button", { name: "Remove workspace" }).click();
  await admin.expectText("Nothing was removed.");
  await page.getByLabel("To confirm").fill("Laboratory");
  await page.getByRole("button", { name: "Remove workspace" }).click();
  await admin.expectText("The workspace was removed.");
};
