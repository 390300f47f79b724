// The administrator story with JavaScript disabled.
"use strict";

const administrator = require("./administrator.js");

module.exports = (harness) => administrator(harness, { scripts: false });
