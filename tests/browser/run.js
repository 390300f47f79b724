// Runs one story in a real Chromium against the service at the given address: node run.js STORY URL.
//
// The story may ask the service's surroundings for something by a line on standard output, such as `advance 3600` for the
// service's clock; the answer comes by a line on standard input. What it has to say otherwise goes to standard error.
"use strict";

const readline = require("node:readline");
const { Browser } = require("./browser.js");

async function main() {
  const [story, url] = process.argv.slice(2);
  const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const ask = async (line) => {
    process.stdout.write(line + "\n");
    const { value } = await answers.next();
    if (value !== "ok") throw new Error(`${line}: ${value}`);
  };
  const browser = await Browser.launch(url, ask);
  try {
    await require(`./stories/${story}.js`)(browser);
    browser.assertQuiet();
  } catch (error) {
    await browser.keepTraces(story);
    throw error;
  } finally {
    await browser.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
