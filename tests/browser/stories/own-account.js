// One's own account: name, password, web sessions; and that a password change spares tokens and nothing else.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN, PASSWORD } = require("../browser.js");

const NEW_PASSWORD = "a wholly different phrase of words";

module.exports = async (browser) => {
  const person = await browser.signedIn();
  const { page } = person;
  const { value } = await person.generate();

  await person.go("/preferences/profile");
  await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
  await page.getByRole("button", { name: "Save" }).click();
  await person.sees("Saved.");
  await person.sees("Ada Lovelace");

  // A session elsewhere is seen, and ended from here.
  const elsewhere = await browser.signedIn();
  await person.go("/preferences/profile");
  await page.getByRole("button", { name: /^End the session/ }).click();
  await person.sees("The web session is ended.");
  await elsewhere.go("/preferences/profile");
  assert.equal(new URL(elsewhere.page.url()).pathname, "/sign-in");
  await elsewhere.signIn(ADMIN);

  const change = async (old, fresh, again = fresh) => {
    await page.getByLabel("Present password").fill(old);
    await page.getByLabel("New password", { exact: true }).fill(fresh);
    await page.getByLabel("New password again").fill(again);
    await page.getByRole("button", { name: "Change password" }).click();
  };
  await change("wrong", NEW_PASSWORD);
  await person.sees("The present password is not right.");
  await change(PASSWORD, NEW_PASSWORD, "another");
  await person.sees("The two new passwords differ.");
  const cookie = async () => (await person.context.cookies()).find(({ name }) => name === "tokenward");
  const before = await cookie();
  assert.ok(before.httpOnly && before.sameSite === "Lax" && before.expires === -1);
  await change(PASSWORD, NEW_PASSWORD);
  await person.sees("Your password is changed.");
  assert.notEqual((await cookie()).value, before.value, "the session has a new id");

  // The others are signed out, the tokens live, and can be deleted from where they are spoken of.
  await elsewhere.go("/preferences/profile");
  assert.equal(new URL(elsewhere.page.url()).pathname, "/sign-in");
  assert.equal(await browser.statusFor(value), 200);
  await page.getByRole("link", { name: "Delete all my tokens…" }).click();
  await page.getByRole("button", { name: "Delete all tokens" }).click();
  await person.sees("None of them works any more.");
  assert.equal(await browser.statusFor(value), 401);

  // Left alone for half an hour, one is signed out, and comes back to where one was.
  await browser.advance({ minutes: 30 });
  await person.go("/admin/users?search=ada");
  await page.getByLabel("E-mail").fill(ADMIN);
  await page.getByLabel("Password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname + url.search === "/admin/users?search=ada");
};
