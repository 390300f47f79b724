// Descriptions and names that would like to be more than text.
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

module.exports = async (browser) => {
  const person = await browser.signedIn();
  const { page } = person;
  const dialogs = [];
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); dialog.dismiss(); });

  for (const text of TEXTS) {
    await person.generate({ description: text });
    await browser.advance({ seconds: 1 });
  }
  await person.go("/preferences/access-tokens");
  const shown = await page.locator("tbody td:nth-child(2) bdi").evaluateAll((cells) => cells.map((cell) => cell.textContent));
  assert.deepEqual(shown, [...TEXTS].reverse(), "what was written is what is read");
  await person.judge();
  await person.picture("hostile-text-light-wide");

  // A change of the direction stays within its cell.
  const isolated = await page.locator("tbody td bdi").evaluateAll(
    (cells) => cells.every((cell) => getComputedStyle(cell).unicodeBidi === "isolate"));
  assert.ok(isolated);

  for (const text of TEXTS) {
    await person.go(`/preferences/access-tokens?search=${encodeURIComponent(text)}`);
    assert.equal(await page.getByLabel("Search").inputValue(), text);
    assert.ok((await person.rows()).length >= 1, `found by ${text}`);
  }
  const first = page.locator("tbody tr").first();
  await first.locator("summary").click();
  await first.getByRole("link", { name: "Delete Token…" }).click();
  await person.judge();

  // A person's name, and what a path says.
  await browser.api("POST", "/v4/people", { email: "bobby@example.com", name: TEXTS[0], password: PASSWORD, isAdmin: true });
  const bobby = await browser.signedIn("bobby@example.com");
  await bobby.go("/admin/users");
  await bobby.sees(TEXTS[0]);
  await bobby.go("/admin/activity");
  await bobby.judge();
  for (const path of [
    "/preferences/access-tokens?status=%3Cscript%3E&after=%3Cimg%20src%3Dx%3E", "/preferences/access-tokens?done=%3Cb%3E",
    "/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/admin/users?search=%00%F0%9F%92%A9%3Cscript%3E", "/%3Cscript%3E",
    "/admin/tokens?unused_since=%3Cb%3E&person=zzz", "/preferences/access-tokens/%3Cscript%3E/delete",
  ]) {
    const response = await bobby.go(path);
    assert.ok(response.status() < 500, path);
    assert.ok(!(await response.text()).includes("<script>alert"), path);
  }
  assert.deepEqual(dialogs, []);
  for (const { page } of browser.people) assert.notEqual(await page.title(), "owned");
};
