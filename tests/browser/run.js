// Runs one story in a real Chromium against the service at the given address: node run.js STORY
// URL.
//
// A story sends commands to the test that started it as lines on standard output: `advance SECONDS`
// moves the service's clock, `close-store` closes its database. The test confirms each command with
// `ok` on standard input. Errors go to standard error.
"use strict";

const readline = require("node:readline");
const { Harness } = require("./browser.js");

async function main() {
  const [story, url] = process.argv.slice(2);
  const confirmations = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const sendCommand = async (line) => {
    process.stdout.write(line + "\n");
    const { value } = await confirmations.next();
    if (value !== "ok") throw new Error(`${line}: ${value}`);
  };
  const harness = await Harness.launch(url, sendCommand);
  try {
    await require(`./stories/${story}.js`)(harness);
    harness.assertNoConsoleErrors();
  } catch (error) {
    await harness.saveFailureScreenshots(story);
    throw error;
  } finally {
    await harness.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
