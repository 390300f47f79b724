// The same where scripts are off.
"use strict";

const manual = require("./manual.js");

module.exports = (browser) => manual(browser, { scripts: false });
