// Descriptions and names that contain markup, scripts or control characters are shown as plain
// text.
"use strict";

const assert = require("node:assert/strict");
const { PASSWORD } = require("../browser.js");

const TEXTS = [
  "<img src=x onerror=\"document.title='owned'\">",
  "<script>document.title='owned'</script>",
  "\"><svg onload=alert(1)>",
  "' onmouseover='alert(1)",
  "{{7*7}} ${7*7} {% raw %}",
  "&lt;b&gt; &amp; &#x27;",
  "\u05D0\u200Fgnp.exe\u200F",
  "javascript:alert(1)",
  "🚀".repeat(255),
  "👩‍🚀".repeat(85),
  "a".repeat(255),
  "  leading and trailing  ",
];

module.exports = async (harness) => {
  const user = await harness.newSignedInUser();
  const { page } = user;
  const dialogs = [];
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); dialog.dismiss(); });

  for (const text of TEXTS) {
    await user.generateToken({ description: text });
    await harness.advance({ seconds: 1 });
  }
  await user.open("/preferences/access-tokens");
  const shown = await page.locator("tbody td:first-child bdi").evaluateAll((cells) => cells.map((cell) => cell.textContent));
  assert.deepEqual(shown, [...TEXTS].reverse(), "descriptions are shown unchanged");
  await user.checkAccessibility();
  await user.takeScreenshot("hostile-text-light-wide");

  // A right-to-left mark affects only its own cell.
  const isolated = await page.locator("tbody td bdi").evaluateAll(
    (cells) => cells.every((cell) => getComputedStyle(cell).unicodeBidi === "isolate"));
  assert.ok(isolated);

  for (const text of TEXTS) {
    await user.open(`/preferences/access-tokens?search=${encodeURIComponent(text)}`);
    assert.equal(await page.getByLabel("Search").inputValue(), text);
    assert.ok((await user.rows()).length >= 1, `found by ${text}`);
  }
  const first = page.locator("tbody tr").first();
  await first.locator("summary").click();
  await first.getByRole("link", { name: "Delete Token…" }).click();
  await user.checkAccessibility();

  // Hostile text in a person's name and in paths.
  await harness.api("POST", "/v4/people", { email: "bobby@example.com", name: TEXTS[0], password: PASSWORD, isAdmin: true });
  const bobby = await harness.newSignedInUser("bobby@example.com");
  await bobby.open("/admin/users");
  await bobby.expectText(TEXTS[0]);
  await bobby.open("/admin/activity");
  await bobby.checkAccessibility();
  for (const path of [
    "/preferences/access-tokens?status=%3Cscript%3E&after=%3Cimg%20src%3Dx%3E", "/preferences/access-tokens?done=%3Cb%3E",
    "/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/admin/users?search=%00%F0%9F%92%A9%3Cscript%3E", "/%3Cscript%3E",
    "/admin/tokens?unused_since=%3Cb%3E&person=zzz", "/preferences/access-tokens/%3Cscript%3E/delete",
  ]) {
    const response = await bobby.open(path);
    assert.ok(response.status() < 500, path);
    assert.ok(!(await response.text()).includes("<script>alert"), path);
  }
  assert.deepEqual(dialogs, []);
  for (const { page } of harness.users) assert.notEqual(await page.title(), "owned");
};
