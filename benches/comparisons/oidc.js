// oidc-provider: RFC 7662 introspection of opaque tokens of 200 users, stored by its in-memory adapter. The tokens belong
// to no grant, which saves a lookup. Writes the tokens to the file TOKENS, one per line, and listens on PORT.
import { writeFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const { PORT, TOKENS } = process.env;
const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [{
    client_id: 'api',
    client_secret: 'secret',
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: ['https://client.example.org/'],
  }],
  features: { introspection: { enabled: true }, devInteractions: { enabled: false } },
});
const client = await provider.Client.find('api');

const tokens = [];
for (let n = 0; n < 200; n++) {
  tokens.push(await new provider.AccessToken({ accountId: `user${n}`, client, scope: 'openid' }).save());
}
writeFileSync(TOKENS, tokens.join('\n'));
provider.listen(PORT, '127.0.0.1');
