// A real OpenID provider that issues JWTs to jobs: node issuer.js FOLDER.
//
// FOLDER has ca.pem, server.pem and server.key, for localhost. The provider is at https://localhost. The first line
// of output has its port, and each further line a JWT that it has issued to the client `deploy`, by the grant of
// client credentials. It ends when standard input does.
"use strict";

const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");
const { listen } = require("./browser.js");

/** The audience of the JWTs. */
const AUDIENCE = "https://tokens.example.com";

async function main() {
  const folder = process.argv[2];
  const read = (name) => fs.readFileSync(path.join(folder, name));
  const server = https.createServer({ cert: read("server.pem"), key: read("server.key") });
  const { port } = (await listen(server)).address();
  server.on("request", await createProvider(`https://localhost:${port}`));
  process.stdout.write(`${port}\n`);
  for (let job = 0; job < 2; job += 1) process.stdout.write(`${await requestJwt(port, read("ca.pem"))}\n`);
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
}

async function createProvider(issuer) {
  const { Provider } = await import(path.join(process.env.OPENID_MODULES, "oidc-provider/lib/index.js"));
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "deploy",
        client_secret: "secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    ttl: { ClientCredentials: 300 },
    // CI systems issue ordinary JWTs. Those of the type of an access token (RFC 9068) are for resource servers.
    formats: { customizers: { jwt: (_, token, jwt) => Object.assign(jwt, { header: { ...jwt.header, typ: "JWT" } }) } },
    extraTokenClaims: () => ({ repository: "octo/deploy", repository_id: "7001" }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ audience: AUDIENCE, scope: "", accessTokenFormat: "jwt", accessTokenTTL: 300 }),
      },
    },
  });
  return provider.callback();
}

/** Requests a JWT as the client does. */
function requestJwt(port, ca) {
  const options = {
    method: "POST",
    ca,
    auth: "deploy:secret",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  };
  return new Promise((resolve, reject) => {
    const request = https.request(`https://localhost:${port}/token`, options, (response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () => {
        const token = JSON.parse(body).access_token;
        if (token) resolve(token);
        else reject(new Error(body));
      });
    });
    request.on("error", reject);
    request.end("grant_type=client_credentials");
  });
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
