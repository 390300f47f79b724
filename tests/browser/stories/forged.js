// Cross-origin form posts change nothing, whichever cookies the browser attaches.
"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");

module.exports = async (harness) => {
  const user = await harness.newSignedInUser();
  const { page } = user;
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
    (await harness.api("GET", "/v4/apiAccessTokens")).data,
    (await harness.api("GET", "/v4/people")).data.map(({ id, email, name, isAdmin }) => [id, email, name, isAdmin]),
    await harness.api("GET", "/v4/workspaces/current/configuration"),
  ]);
  const before = await state();

  let form = null;
  const attackerServer = http.createServer((_, response) => {
    const [path, fields] = form;
    const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
    response.setHeader("content-type", "text/html");
    response.end(`<form method="post" action="${harness.url}${path}">${inputs.join("")}<button>Win a prize</button></form>`);
  });
  await new Promise((resolve) => attackerServer.listen(0, "127.0.0.1", resolve));
  try {
    // `localhost` is a different site than 127.0.0.1. Another port of the same host is the same
    // site, but a different origin.
    for (const host of ["localhost", "127.0.0.1"]) {
      for (form of forms) {
        await page.goto(`http://${host}:${attackerServer.address().port}/`);
        const [response] = await Promise.all([
          page.waitForResponse((received) => received.request().method() === "POST"),
          page.getByRole("button").click(),
        ]);
        assert.equal(response.status(), 403, `${form[0]} from ${host}`);
        await user.expectText("This form came from another site");
      }
    }
  } finally {
    attackerServer.close();
  }
  assert.equal(await state(), before);
  // The session still belongs to the administrator.
  await user.open("/preferences/profile");
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Administrator");
};
