// What the runs through identity providers share: the browser, and the proxies that terminate TLS.
"use strict";

const http = require("node:http");
const { chromium } = require("playwright-core");

/** Starts Chromium, for which tokens.example is this machine. */
function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      "--host-resolver-rules=MAP tokens.example 127.0.0.1",
    ],
  });
}

/** Opens a page with cookies of its own. */
async function newPage(browser, origin, scripts) {
  const context = await browser.newContext({ baseURL: origin, ignoreHTTPSErrors: true, javaScriptEnabled: scripts });
  context.setDefaultTimeout(30000);
  return { context, page: await context.newPage() };
}

/** Returns the status of an auth check of the service. */
function checkToken(serviceUrl, value) {
  return fetch(`${serviceUrl}/v4/auth`, { headers: { authorization: `Bearer ${value}` } }).then((r) => r.status);
}

/** Forwards a request, as a proxy that terminates TLS does. */
function forward(url, request, response) {
  const { hostname, port } = new URL(url);
  const headers = { ...request.headers, "x-forwarded-proto": "https" };
  const upstream = http.request({ hostname, port, method: request.method, path: request.url, headers }, (reply) => {
    response.writeHead(reply.statusCode, reply.rawHeaders);
    reply.pipe(response);
  });
  upstream.on("error", () => response.destroy());
  request.pipe(upstream);
}

function listen(server) {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

module.exports = { checkToken, forward, launch, listen, newPage };
