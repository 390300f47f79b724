// By keyboard alone: everything is reached, the focus is always seen, and nothing takes it away.
"use strict";

const assert = require("node:assert/strict");
const { PASSWORD } = require("../browser.js");

module.exports = async (browser) => {
  const person = await browser.somebody();
  const { page } = person;
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  /** What has the focus; it is seen, and nothing lies over it. */
  const focused = async () => await page.evaluate(() => {
    const element = document.activeElement;
    const box = element.getBoundingClientRect();
    const on = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const style = getComputedStyle(element);
    return {
      text: (element.textContent.trim() || element.value || element.name || "").replace(/\s+/g, " "),
      isSeen: style.outlineStyle !== "none" && box.width > 0 && (element === on || element.contains(on)),
    };
  });
  const tabTo = async (text) => {
    for (let step = 0; step < 40; step += 1) {
      await press("Tab");
      const now = await focused();
      assert.ok(now.isSeen, `the focus on "${now.text}" is not seen`);
      if (now.text.includes(text)) return;
    }
    assert.fail(`${text} is not reached`);
  };

  await person.go("/sign-in");
  await tabTo("Skip to the content");
  await tabTo("email");
  await page.keyboard.type("admin@example.com");
  await press("Tab");
  await page.keyboard.type(PASSWORD);
  await press("Enter");
  await person.sees("No tokens");

  // The user menu opens, closes by Escape, and when the focus leaves it.
  await tabTo("User menu");
  const menu = page.locator("details.user");
  await press("Enter");
  assert.equal(await menu.getAttribute("open"), "");
  await press("Escape");
  assert.equal(await menu.getAttribute("open"), null);
  assert.ok((await focused()).text.includes("User menu"), "the focus is back where it was");
  await press("Enter");
  await tabTo("Generate New Token");
  assert.equal(await menu.getAttribute("open"), null);
  await press("Enter");
  await person.sees("Lifetime (days)");

  // The arrow keys go through the lifetimes, round and round, and change nothing else.
  await tabTo("30");
  const chosen = () => page.locator("input[name=lifetime]:checked").inputValue();
  const seen = [];
  for (let step = 0; step < 5; step += 1) {
    await press("ArrowDown");
    seen.push(await chosen());
  }
  assert.deepEqual(seen, ["90", "365", "-1", "custom", "30"]);
  await press("ArrowUp");
  assert.equal(await chosen(), "custom");
  await press("Tab");
  await page.keyboard.type("7");
  await page.getByText(/^until /).last().waitFor();
  await press("Tab");
  await page.keyboard.type("by keyboard");
  await tabTo("Generate");
  await press("Enter");
  await person.sees("Token generated");

  // The value is copied, the sign of it goes when something else is copied.
  await tabTo("Copy the token");
  await press("Enter");
  const value = await page.locator("#token-value").innerText();
  await page.locator("[data-copy=token-value].copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  await page.getByRole("button", { name: "Copy token ID" }).press("Enter");
  await page.locator(".copy.copied").waitFor();
  assert.equal(await page.locator("[data-copy=token-value].copied").count(), 0);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator("#token-id").innerText());

  // A refused form: the focus is on what is wrong.
  await person.go("/preferences/access-tokens/generate");
  await page.getByLabel("Custom").check();
  await page.getByRole("button", { name: "Generate" }).click();
  await person.sees("whole number of days");
  assert.equal(await page.evaluate(() => document.activeElement.id), "problem");

  // Delete Token… from the row's menu.
  await person.go("/preferences/access-tokens");
  await page.locator("td summary").press("Enter");
  await press("Tab", "Enter");
  await person.sees("Delete this token?");
  await tabTo("Delete Token");
  await press("Enter");
  await person.sees("The token is deleted.");
  assert.equal(new URL(page.url()).search, "", "said once: not again by reloading");
  assert.equal(await browser.statusFor(value), 401);
};
