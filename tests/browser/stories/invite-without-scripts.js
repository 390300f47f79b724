// The invite story with JavaScript disabled.
"use strict";

const invite = require("./invite.js");

module.exports = (harness) => invite(harness, { scripts: false });
