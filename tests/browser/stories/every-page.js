// Every page, light and dark, wide and on a phone: judged by axe. With TOKENWARD_PICTURES its picture is kept.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

/** What a workspace looks like that has been in use for a while; gives the ids that paths need. */
async function furnish(browser) {
  await browser.api("PATCH", "/v4/workspaces/1", { name: "Data platform" });
  await browser.api("PATCH", "/v4/people/1", { name: "Ada Lovelace" });
  const people = {};
  for (const name of ["Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare"]) {
    const email = name.toLowerCase().replace(" ", ".") + "@example.com";
    people[email] = (await browser.api("POST", "/v4/people", { email, name, password: PASSWORD })).id;
  }
  const grace = "grace.hopper@example.com";
  await browser.api("PATCH", `/v4/people/${people[grace]}`, { tokenAccess: "enabled" });
  await browser.api("PATCH", `/v4/people/${people["tony.hoare@example.com"]}`, { isDisabled: true });
  // Nothing that people write is too long for a page.
  await browser.api("POST", "/v4/people", { email: "w".repeat(64) + "@" + "x".repeat(60) + ".example", name: "W".repeat(255), password: PASSWORD });
  const make = async (email, days, description) => {
    const body = { lifetimeSeconds: days === -1 ? -1 : days * 86400, description };
    return await browser.api("POST", "/v4/apiAccessTokens", body, email);
  };
  await make(ADMIN, 10, "Migration from the old cluster");
  await browser.advance({ days: 12, hours: 3 });
  const nightly = await make(ADMIN, 90, "Nightly export, cron on etl-2");
  await make(grace, 365, "Airflow, production");
  await browser.advance({ days: 20 });
  const ci = await make(ADMIN, 30, "CI: smoke tests");
  await make(grace, -1, "Notebook");
  await browser.advance({ days: 24, hours: 5 });
  await browser.statusFor(nightly.tokenValue);
  await browser.statusFor(ci.tokenValue);
  const laptop = await make(ADMIN, 30, "Laptop");
  await browser.api("PATCH", "/v4/workspaces/current/configuration", {
    configuration: [{ key: "feature.apiAccessTokens.maxLifetimeDays", value: 365 }],
  });
  const lab = { name: "Laboratory", admin: { email: "rosalind@example.org", name: "Rosalind Franklin", password: PASSWORD } };
  const workspace = await browser.api("POST", "/v4/workspaces", lab);
  return { grace: people[grace], laptop: laptop.tokenInfo.tokenId, workspace: workspace.id };
}

module.exports = async (browser) => {
  const { grace, laptop, workspace } = await furnish(browser);
  const longest = (await browser.api("GET", `/v4/people?email=${"w".repeat(64)}@${"x".repeat(60)}.example`)).data[0].id;
  await browser.api("POST", "/v4/people", { email: "new@example.com", name: "New", password: PASSWORD });
  const person = (await browser.api("GET", "/v4/people?email=new@example.com")).data[0].id;
  await browser.api("PATCH", `/v4/people/${person}`, { forcePasswordChange: true });

  const open = { "sign-in": "/sign-in", "not-found": "/nothing" };
  const places = {
    tokens: "/preferences/access-tokens",
    "tokens-nothing-found": "/preferences/access-tokens?search=zzz",
    generate: "/preferences/access-tokens/generate",
    "delete-token": `/preferences/access-tokens/${laptop}/delete`,
    "delete-all": "/preferences/access-tokens/delete-all",
    activity: "/preferences/activity",
    profile: "/preferences/profile",
    "password-changed": "/preferences/profile?done=password",

    users: "/admin/users",
    "new-user": "/admin/users/new",
    user: `/admin/users/${grace}`,
    "user-longest": `/admin/users/${longest}`,
    "remove-user-longest": `/admin/users/${longest}/remove`,
    "remove-user": `/admin/users/${grace}/remove`,
    "delete-tokens-of-user": `/admin/users/${grace}/delete-tokens`,
    settings: "/admin/settings",
    "setting-switch": "/admin/settings/feature.apiAccessTokens.enabled",
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
      const look = async (visitor, name, path) => {
        if (path) {
          const reply = await visitor.go(path);
          assert.ok(reply.status() < 500 && (reply.status() === 200) === (name !== "not-found" && name !== "forbidden"), path);
        }
        await visitor.judge();
        await visitor.picture(`${name}-${scheme}-${size}`);
      };
      const stranger = await browser.somebody({ scheme, size });
      for (const [name, path] of Object.entries(open)) await look(stranger, name, path);
      await stranger.go("/sign-in");
      await stranger.page.getByLabel("E-mail").fill("ada@example.com");
      await stranger.page.getByLabel("Password").fill("wrong");
      await stranger.page.getByRole("button", { name: "Sign in" }).click();
      await stranger.sees("That did not work");
      await look(stranger, "sign-in-refused");
      await stranger.signIn("new@example.com");
      await look(stranger, "change-password", "/change-password");

      const admin = await browser.signedIn(ADMIN, { scheme, size });
      for (const [name, path] of Object.entries(places)) await look(admin, name, path);
      await admin.go("/preferences/access-tokens");
      await admin.page.locator("td summary").first().click();
      await admin.page.getByText("User menu:").locator("..").focus();
      await look(admin, "tokens-menu");
      await admin.page.getByText("User menu:").locator("..").click();
      await look(admin, "user-menu");
      await admin.go("/preferences/access-tokens/generate");
      await admin.page.getByLabel("Description").fill("Backup script on nas-1");
      await admin.page.getByRole("button", { name: "Generate" }).click();
      await look(admin, "generated");

      const user = await browser.signedIn("barbara.liskov@example.com", { scheme, size });
      await look(user, "tokens-not-permitted", "/preferences/access-tokens");
      await look(user, "forbidden", "/admin/users");
    }
  }

  // The same after a quarter of an hour, when acts of weight ask for the password.
  const admin = await browser.signedIn();
  await browser.advance({ minutes: 16 });
  await admin.go("/admin/settings/feature.apiAccessTokens.enabled");
  await admin.sees("Your password");
  await admin.judge();
  await admin.picture("setting-asks-for-password-light-wide");

  await browser.api("PATCH", "/v4/workspaces/current/configuration", {
    configuration: [{ key: "feature.apiAccessTokens.enabled", value: false }],
  });
  await admin.go("/preferences/access-tokens");
  await admin.sees("switched off in this workspace");
  await admin.judge();
  await admin.picture("tokens-off-light-wide");

  const guesser = await browser.somebody();
  for (let n = 0; n < 10; n += 1) {
    await browser.api("GET", "/v4/people/current", undefined, "edsger.dijkstra@example.com", "wrong").catch(() => {});
  }
  await guesser.go("/sign-in");
  await guesser.page.getByLabel("E-mail").fill("edsger.dijkstra@example.com");
  await guesser.page.getByLabel("Password").fill(PASSWORD);
  await guesser.page.getByRole("button", { name: "Sign in" }).click();
  await guesser.sees("Too many wrong passwords");
  await guesser.judge();
  await guesser.picture("too-many-light-wide");

  await browser.ask("close the store");
  const reply = await admin.go("/preferences/access-tokens");
  assert.equal(reply.status(), 503);
  await admin.sees("You have not been signed out");
  await admin.judge();
  await admin.picture("unavailable-light-wide");
};
