// The manual story with JavaScript disabled.
"use strict";

const manual = require("./manual.js");

module.exports = (harness) => manual(harness, { scripts: false });
