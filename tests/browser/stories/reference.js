// The API reference: every page with axe, in all widths, with all responses open, and by keyboard.
// With TOKENWARD_PICTURES set it also takes screenshots.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN } = require("../browser.js");

const openAll = async (page) => await page.locator(".fold").evaluateAll((folds) => folds.forEach((fold) => { fold.open = true; }));

module.exports = async (harness) => {
  const admin = await harness.newSignedInUser();
  await admin.chooseFromUserMenu("API reference");
  const links = await admin.page.locator(".side a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.ok(links.length > 5 && links[0] === "/api-reference", links.join());

  const check = async (user, path, name) => {
    const response = await user.open(path);
    assert.equal(response.status(), 200, path);
    if (name.includes("open")) await openAll(user.page);
    await user.checkAccessibility();
    await user.takeScreenshot(`reference-${name}`);
  };
  for (const path of links) {
    await check(admin, path, `${path.split("/")[2] || "overview"}-light-wide`);
    // All anchors lead to an element, and no ID occurs twice.
    const broken = await admin.page.evaluate(() => {
      const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
      const targets = [...document.querySelectorAll('a[href^="#"]')].map((link) => link.getAttribute("href").slice(1));
      return [...targets.filter((id) => !ids.includes(id)), ...ids.filter((id, index) => ids.indexOf(id) !== index)];
    });
    assert.deepEqual(broken, [], path);
  }
  for (const [scheme, size] of [["light", "phone"], ["dark", "phone"], ["dark", "wide"], ["light", "small"], ["light", "large"]]) {
    const user = await harness.newSignedInUser(ADMIN, { scheme, size });
    await check(user, "/api-reference", `overview-${scheme}-${size}`);
    await check(user, "/api-reference/leaks", `open-${scheme}-${size}`);
  }

  // The keyboard alone opens a response, without scripts as well.
  for (const scripts of [true, false]) {
    const { page } = await harness.newSignedInUser(ADMIN, { scripts });
    await page.goto("/api-reference/people#getPerson");
    const fold = page.locator("#getPerson .fold").filter({ hasText: "404" });
    for (let step = 0; step < 60 && !(await fold.locator("summary").evaluate((element) => element === document.activeElement)); step += 1) {
      await page.keyboard.press("Tab");
    }
    assert.equal(await fold.getAttribute("open"), null);
    await page.keyboard.press("Enter");
    assert.equal(await fold.getAttribute("open"), "");
    await fold.getByText("DataNotFoundException").first().waitFor();
    assert.equal(await page.locator("#main").evaluate((main) => main.ownerDocument.scripts.length), 0);
  }
};
