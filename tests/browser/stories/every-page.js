// Checks every page with axe: light and dark, wide and phone-sized. With TOKENWARD_PICTURES set it
// also takes screenshots.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

/** Fills a workspace with realistic data, and returns the IDs that paths need. */
async function createTestData(harness) {
  await harness.api("PATCH", "/v4/workspaces/1", { name: "Data platform" });
  await harness.api("PATCH", "/v4/people/1", { name: "Ada Lovelace" });
  const people = {};
  for (const name of ["Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare", "Leslie Lamport"]) {
    const email = name.toLowerCase().replace(" ", ".") + "@example.com";
    people[email] = (await harness.api("POST", "/v4/people", { email, name, password: PASSWORD })).id;
  }
  const grace = "grace.hopper@example.com";
  await harness.api("PATCH", `/v4/people/${people[grace]}`, { tokenAccess: "enabled" });
  await harness.api("PATCH", `/v4/people/${people["tony.hoare@example.com"]}`, { isDisabled: true });
  await harness.api("POST", "/v4/people", { email: "alan.kay@example.com", name: "Alan Kay", password: PASSWORD, isAdmin: true });
  // The longest e-mail and name that the service accepts.
  await harness.api("POST", "/v4/people", { email: "w".repeat(64) + "@" + "x".repeat(60) + ".example", name: "W".repeat(255), password: PASSWORD });
  const createToken = async (email, days, description, limits = {}) => {
    const body = { lifetimeSeconds: days === -1 ? -1 : days * 86400, description, ...limits };
    return await harness.api("POST", "/v4/apiAccessTokens", body, email);
  };
  await createToken(ADMIN, 10, "Migration from the old cluster");
  await harness.advance({ days: 12, hours: 3 });
  const nightly = await createToken(ADMIN, 90, "Nightly export, cron on etl-2");
  await createToken(grace, 365, "Airflow, production");
  await harness.advance({ days: 20 });
  const ci = await createToken(ADMIN, 30, "CI: smoke tests");
  await createToken(grace, -1, "Notebook");
  await harness.advance({ days: 24, hours: 5 });
  await harness.statusWithToken(nightly.tokenValue);
  await harness.statusWithToken(ci.tokenValue);
  const scopes = ["reports:read", "reports:list", "tokenward:settings:write", "a".repeat(64)];
  const networks = ["10.0.0.0/8", "2001:db8:ffff:ffff:ffff:ffff:ffff:fff0/124"];
  const reports = await createToken(ADMIN, 30, "Report reader", { scopes, allowedNetworks: networks });
  await createToken(ADMIN, 30, "", { scopes: [] });
  await harness.api("POST", "/v4/apiAccessTokens", { replaces: nightly.tokenInfo.tokenId });
  const laptop = await createToken(ADMIN, 30, "Laptop");
  await harness.api("PATCH", "/v4/workspaces/current/configuration", {
    configuration: [{ key: "feature.apiAccessTokens.maxLifetimeDays", value: 365 }],
  });
  const lab = { name: "Laboratory", admin: { email: "rosalind@example.org", name: "Rosalind Franklin", password: PASSWORD } };
  const workspace = await harness.api("POST", "/v4/workspaces", lab);
  const custodians = [1, people[grace]];
  const account = await harness.api("POST", "/v4/people", { kind: "service", name: "deploy-pipeline", custodians });
  const longest = { kind: "service", name: "w".repeat(63), custodians: [people["leslie.lamport@example.com"]], isAdmin: true };
  const unowned = await harness.api("POST", "/v4/people", longest);
  await harness.api("PATCH", `/v4/people/${people["leslie.lamport@example.com"]}`, { isDisabled: true });
  const deploy = await createToken(ADMIN, 30, "Deploy job", { personId: account.id, scopes });
  return { grace: people[grace], account: account.id, unowned: unowned.id, deploy: deploy.tokenInfo.tokenId, laptop: laptop.tokenInfo.tokenId, reports: reports.tokenInfo.tokenId,
    nightly: nightly.tokenInfo.tokenId, workspace: workspace.id };
}

module.exports = async (harness) => {
  const { grace, account, unowned, deploy, laptop, reports, nightly, workspace } = await createTestData(harness);
  const longest = (await harness.api("GET", `/v4/people?email=${"w".repeat(64)}@${"x".repeat(60)}.example`)).data[0].id;
  await harness.api("POST", "/v4/people", { email: "new@example.com", name: "New", password: PASSWORD });
  const newPersonId = (await harness.api("GET", "/v4/people?email=new@example.com")).data[0].id;
  await harness.api("PATCH", `/v4/people/${newPersonId}`, { forcePasswordChange: true });

  const invited = await harness.api("POST", "/v4/people", { email: "alan.turing@example.com", name: "Alan Turing", invite: true });
  const publicPages = {
    "sign-in": "/sign-in",
    "sign-in-password-set": "/sign-in?set=yes",
    invite: new URL(invited.inviteUrl).pathname,
    "not-found": "/nothing",
  };
  const adminPages = {
    tokens: "/preferences/access-tokens",
    "tokens-nothing-found": "/preferences/access-tokens?search=zzz",
    generate: "/preferences/access-tokens/generate",
    token: `/preferences/access-tokens/${laptop}`,
    "tokens-expired": "/preferences/access-tokens?status=expired&sort=description",
    "token-of-workspace": `/admin/tokens/${laptop}`,
    "replace-token": `/preferences/access-tokens/${laptop}/replace`,
    "token-with-limits": `/preferences/access-tokens/${reports}`,
    "token-replaced": `/preferences/access-tokens/${nightly}`,
    "delete-token": `/preferences/access-tokens/${laptop}/delete`,
    "delete-all": "/preferences/access-tokens/delete-all",
    device: "/device",
    activity: "/preferences/activity",
    profile: "/preferences/profile",
    reference: "/api-reference",
    "password-changed": "/preferences/profile?done=password",

    users: "/admin/users",
    "new-user": "/admin/users/new",
    user: `/admin/users/${grace}`,
    "user-longest": `/admin/users/${longest}`,
    "user-invited": `/admin/users/${invited.id}`,
    "invite-user": `/admin/users/${grace}/invite`,
    "password-of-user": `/admin/users/${grace}/password`,
    "disable-user": `/admin/users/${grace}/disable`,
    "remove-user-longest": `/admin/users/${longest}/remove`,
    "remove-user": `/admin/users/${grace}/remove`,
    "delete-tokens-of-user": `/admin/users/${grace}/delete-tokens`,
    "service-accounts": "/admin/service-accounts",
    "new-service-account": "/admin/service-accounts/new",
    "service-account": `/admin/service-accounts/${account}`,
    "service-account-unowned": `/admin/service-accounts/${unowned}`,
    "service-account-generate": `/admin/service-accounts/${account}/generate`,
    "service-account-delete-token": `/admin/service-accounts/${account}/delete-token?token=${deploy}`,
    "service-account-remove": `/admin/service-accounts/${unowned}/remove`,
    "own-service-accounts": "/preferences/service-accounts",
    "own-service-account": `/preferences/service-accounts/${account}`,
    settings: "/admin/settings",
    "setting-switch": "/admin/settings/feature.apiAccessTokens.enabled",
    "setting-scopes": "/admin/settings/tokenward.requireScopes",
    "setting-days": "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
    "all-tokens": "/admin/tokens",
    "all-tokens-of-one": `/admin/tokens?person=${grace}`,

    "all-activity": "/admin/activity",
    workspaces: "/admin/workspaces",
    "new-workspace": "/admin/workspaces/new",
    workspace: `/admin/workspaces/${workspace}`,
  };

  for (const scheme of ["light", "dark"]) {
    for (const size of ["wide", "phone"]) {
      const checkPage = async (user, name, path) => {
        if (path) {
          const response = await user.open(path);
          assert.ok(response.status() < 500 && (response.status() === 200) === (name !== "not-found" && name !== "forbidden"), path);
        }
        await user.checkAccessibility();
        await user.takeScreenshot(`${name}-${scheme}-${size}`);
      };
      const anonymous = await harness.newUser({ scheme, size });
      for (const [name, path] of Object.entries(publicPages)) await checkPage(anonymous, name, path);
      await anonymous.open("/sign-in");
      await anonymous.page.getByLabel("E-mail").fill("ada@example.com");
      await anonymous.page.getByLabel("Password").fill("wrong");
      await anonymous.page.getByRole("button", { name: "Sign in" }).click();
      await anonymous.expectText("Wrong e-mail or password");
      await checkPage(anonymous, "sign-in-failed");
      await anonymous.signIn("new@example.com");
      await checkPage(anonymous, "change-password", "/change-password");

      const admin = await harness.newSignedInUser(ADMIN, { scheme, size });
      for (const [name, path] of Object.entries(adminPages)) await checkPage(admin, name, path);
      await admin.open("/preferences/access-tokens");
      await admin.page.locator("td summary").first().click();
      await admin.page.getByText("User menu:").locator("..").focus();
      await checkPage(admin, "tokens-menu");
      await admin.page.getByText("User menu:").locator("..").click();
      await checkPage(admin, "user-menu");
      await admin.open("/preferences/access-tokens/generate");
      await admin.page.getByLabel("Description").fill("Backup script on nas-1");
      await admin.page.getByRole("button", { name: "Generate" }).click();
      await checkPage(admin, "generated");
      await admin.open("/preferences/access-tokens/generate");
      await admin.page.getByText("Scopes for the API of Tokenward").click();
      await admin.page.getByRole("checkbox", { name: /^tokenward:introspect/ }).check();
      assert.ok(await admin.page.getByRole("radio", { name: "Only these scopes" }).isChecked());
      await checkPage(admin, "generate-with-scopes");
      await admin.open(`/admin/users/${grace}/invite`);
      await admin.page.getByRole("button", { name: "Create link" }).click();
      await checkPage(admin, "invite-link");
      await admin.open("/admin/users/new");
      await admin.page.getByRole("radio", { name: /^Set a temporary password/ }).check();
      await checkPage(admin, "new-user-password");

      const user = await harness.newSignedInUser("barbara.liskov@example.com", { scheme, size });
      await checkPage(user, "tokens-not-permitted", "/preferences/access-tokens");
      await checkPage(user, "forbidden", "/admin/users");
      const other = await harness.newSignedInUser("alan.kay@example.com", { scheme, size });
      await checkPage(other, "user-protected", "/admin/users/1");
    }
  }

  // Lists are tables from 768 pixels on, and use the width of large screens.
  for (const size of ["tablet", "small", "large"]) {
    const viewer = await harness.newSignedInUser(ADMIN, { size });
    for (const name of ["tokens", "users", "all-tokens", "all-activity", "token"]) {
      await viewer.open(adminPages[name]);
      await viewer.checkAccessibility();
      const [display, width] = await viewer.page.locator(".table").evaluate(
        (table) => [getComputedStyle(table.querySelector("td")).display, table.offsetWidth]);
      assert.equal(display, "table-cell", `${name} at ${size}`);
      assert.ok(size !== "large" || width > 1500, `${name} is ${width} px wide`);
      await viewer.takeScreenshot(`${name}-light-${size}`);
    }
  }

  // After 15 minutes sensitive operations require re-authentication.
  const admin = await harness.newSignedInUser();
  await harness.advance({ minutes: 16 });
  await admin.open("/admin/settings/feature.apiAccessTokens.enabled");
  await admin.expectText("Your password");
  await admin.checkAccessibility();
  await admin.takeScreenshot("setting-asks-for-password-light-wide");

  await harness.api("PATCH", "/v4/workspaces/current/configuration", {
    configuration: [{ key: "feature.apiAccessTokens.enabled", value: false }],
  });
  await admin.open("/preferences/access-tokens");
  await admin.expectText("switched off in this workspace");
  await admin.checkAccessibility();
  await admin.takeScreenshot("tokens-off-light-wide");

  const throttled = await harness.newUser();
  for (let n = 0; n < 10; n += 1) {
    await harness.api("GET", "/v4/people/current", undefined, "edsger.dijkstra@example.com", "wrong").catch(() => {});
  }
  await throttled.open("/sign-in");
  await throttled.page.getByLabel("E-mail").fill("edsger.dijkstra@example.com");
  await throttled.page.getByLabel("Password").fill(PASSWORD);
  await throttled.page.getByRole("button", { name: "Sign in" }).click();
  await throttled.expectText("Too many failed attempts");
  await throttled.checkAccessibility();
  await throttled.takeScreenshot("too-many-light-wide");

  await harness.sendCommand("close-store");
  const response = await admin.open("/preferences/access-tokens");
  assert.equal(response.status(), 503);
  await admin.expectText("You have not been signed out");
  await admin.checkAccessibility();
  await admin.takeScreenshot("unavailable-light-wide");
};
