// The limits story with JavaScript disabled.
"use strict";

const limits = require("./limits.js");

module.exports = (harness) => limits(harness, { scripts: false });
