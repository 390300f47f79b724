// Everything can be done with the keyboard alone, and the focus is always visible.
"use strict";

const assert = require("node:assert/strict");
const { PASSWORD } = require("../browser.js");

module.exports = async (harness) => {
  const user = await harness.newUser();
  const { page } = user;
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  /** Returns the text of the focused element and whether it is visible and not covered. */
  const focused = async () => await page.evaluate(() => {
    const element = document.activeElement;
    const box = element.getBoundingClientRect();
    const topmost = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const style = getComputedStyle(element);
    return {
      text: (element.textContent.trim() || element.value || element.name || "").replace(/\s+/g, " "),
      isVisible: style.outlineStyle !== "none" && box.width > 0 && (element === topmost || element.contains(topmost)),
    };
  });
  const tabTo = async (text) => {
    for (let step = 0; step < 40; step += 1) {
      await press("Tab");
      const now = await focused();
      assert.ok(now.isVisible, `the focus on "${now.text}" is not visible`);
      if (now.text.includes(text)) return;
    }
    assert.fail(`${text} cannot be reached with Tab`);
  };

  await user.open("/sign-in");
  await tabTo("Skip to the content");
  await tabTo("email");
  await page.keyboard.type("admin@example.com");
  await press("Tab");
  await page.keyboard.type(PASSWORD);
  await press("Enter");
  await user.expectText("No tokens");

  // The user menu opens with Enter, and closes with Escape or when it loses the focus.
  await tabTo("User menu");
  const menu = page.locator("details.user");
  await press("Enter");
  assert.equal(await menu.getAttribute("open"), "");
  await press("Escape");
  assert.equal(await menu.getAttribute("open"), null);
  assert.ok((await focused()).text.includes("User menu"), "Escape returns the focus to the menu button");
  await press("Enter");
  await tabTo("Generate New Token");
  assert.equal(await menu.getAttribute("open"), null);
  await press("Enter");
  await user.expectText("Lifetime (days)");

  await tabTo("description");
  await page.keyboard.type("by keyboard");

  // The arrow keys cycle through the lifetimes.
  await tabTo("30");
  const checkedLifetime = () => page.locator("input[name=lifetime]:checked").inputValue();
  const visited = [];
  for (let step = 0; step < 5; step += 1) {
    await press("ArrowDown");
    visited.push(await checkedLifetime());
  }
  assert.deepEqual(visited, ["90", "365", "-1", "custom", "30"]);
  await press("ArrowUp");
  assert.equal(await checkedLifetime(), "custom");
  await press("Tab");
  await page.keyboard.type("7");
  await page.getByText(/^until /).last().waitFor();
  await tabTo("Generate");
  await press("Enter");
  await user.expectText("Token generated");

  // Copies the value; its check mark disappears when something else is copied.
  await tabTo("Copy the token");
  await press("Enter");
  const value = await page.locator("#token-value").innerText();
  await page.locator("[data-copy=token-value].copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  await page.getByRole("button", { name: "Copy token ID" }).press("Enter");
  await page.locator(".copy.copied").waitFor();
  assert.equal(await page.locator("[data-copy=token-value].copied").count(), 0);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator("#token-id").innerText());

  // A rejected form moves the focus to the error message.
  await user.open("/preferences/access-tokens/generate");
  await page.getByLabel("Custom").check();
  await page.getByRole("button", { name: "Generate" }).click();
  await user.expectText("whole number of days");
  assert.equal(await page.evaluate(() => document.activeElement.id), "form-error");

  // Deletes the token from the row's menu.
  await user.open("/preferences/access-tokens");
  await page.locator("td summary").press("Enter");
  await tabTo("Delete Token…");
  await press("Enter");
  await user.expectText("Delete this token?");
  await tabTo("Delete Token");
  await press("Enter");
  await user.expectText("Deleted “by keyboard”");
  assert.equal(new URL(page.url()).search, "", "a reload does not repeat the message");
  assert.equal(await harness.statusWithToken(value), 401);
};
