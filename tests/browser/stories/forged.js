// Pages of another origin post forms here, with whatever cookies the browser sends along: nothing is done.
"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");

module.exports = async (browser) => {
  const person = await browser.signedIn();
  const { page } = person;
  const forms = [
    ["/preferences/access-tokens/generate", { lifetime: "30" }],
    ["/preferences/access-tokens/delete-all", {}],
    ["/preferences/profile", { name: "Mallory" }],
    ["/preferences/profile/sessions/end-others", {}],
    ["/admin/users/new", { email: "mallory@example.com", password: "correct horse battery staple", is_admin: "yes" }],
    ["/admin/users/1", { email: "mallory@example.com", role: "administrator", token_access: "default" }],
    ["/admin/settings/feature.apiAccessTokens.enabled", { value: "false" }],
    ["/sign-in", { email: "admin@example.com", password: "correct horse battery staple" }],
    ["/sign-out", {}],
  ];
  const state = async () => JSON.stringify([
    (await browser.api("GET", "/v4/apiAccessTokens")).data,
    (await browser.api("GET", "/v4/people")).data.map(({ id, email, name, isAdmin }) => [id, email, name, isAdmin]),
    await browser.api("GET", "/v4/workspaces/current/configuration"),
  ]);
  const before = await state();

  let form = null;
  const elsewhere = http.createServer((_, response) => {
    const [path, fields] = form;
    const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
    response.setHeader("content-type", "text/html");
    response.end(`<form method="post" action="${browser.url}${path}">${inputs.join("")}<button>Win a prize</button></form>`);
  });
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  try {
    // `localhost` is another site than 127.0.0.1; another port of the same host is the same site, but another origin.
    for (const host of ["localhost", "127.0.0.1"]) {
      for (form of forms) {
        await page.goto(`http://${host}:${elsewhere.address().port}/`);
        const [answer] = await Promise.all([
          page.waitForResponse((response) => response.request().method() === "POST"),
          page.getByRole("button").click(),
        ]);
        assert.equal(answer.status(), 403, `${form[0]} from ${host}`);
        await person.sees("This form came from elsewhere");
      }
    }
  } finally {
    elsewhere.close();
  }
  assert.equal(await state(), before);
  // Nobody was signed out, or in as somebody else.
  await person.go("/preferences/profile");
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Administrator");
};
