// The same steps without scripts.
"use strict";

module.exports = (harness) => require("./device.js")(harness, { scripts: false });
