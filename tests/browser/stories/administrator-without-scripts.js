// The same where scripts are off.
"use strict";

const administrator = require("./administrator.js");

module.exports = (browser) => administrator(browser, { scripts: false });
