// A person requests a link that resets the password, and switches off warnings. Checks the pages with axe:
// light and dark, wide and phone-sized. With TOKENWARD_PICTURES set it also takes screenshots.
"use strict";

const assert = require("node:assert/strict");
const { ADMIN } = require("../browser.js");

module.exports = async (harness) => {
  for (const scheme of ["light", "dark"]) {
    for (const size of ["wide", "phone"]) {
      const check = async (user, name) => {
        await user.checkAccessibility();
        await user.takeScreenshot(`${name}-${scheme}-${size}`);
      };
      const anonymous = await harness.newUser({ scheme, size });
      await anonymous.open("/sign-in");
      await check(anonymous, "sign-in-with-reset");
      await anonymous.page.getByRole("link", { name: "Forgot password?" }).click();
      await anonymous.expectText("Enter the e-mail address of your account.");
      await check(anonymous, "forgot-password");
      await anonymous.page.getByLabel("E-mail").fill("ada@example.com");
      await anonymous.page.getByRole("button", { name: "Send link" }).click();
      await anonymous.expectText("Check your e-mail.");
      await check(anonymous, "forgot-password-requested");

      const admin = await harness.newSignedInUser(ADMIN, { scheme, size });
      await admin.open("/preferences/profile");
      const box = admin.page.getByLabel("E-mail me before my tokens expire");
      assert.equal(await box.isChecked(), !(scheme === "dark" && size === "phone"));
      await check(admin, "profile-with-notifications");
      if (scheme === "dark" && size === "wide") {
        await box.uncheck();
        await admin.page.getByRole("button", { name: "Save" }).click();
        await admin.expectText("Saved.");
      }
    }
  }
};
