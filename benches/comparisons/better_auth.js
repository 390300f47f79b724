// better-auth: the API key plugin behind a plain HTTP server. Creates 10 keys for each of 100 users in the empty database
// DATABASE_URL, writes the keys to the file TOKENS, one per line, and listens on PORT.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import pg from 'pg';

const { DATABASE_URL, PORT, TOKENS } = process.env;
const auth = betterAuth({
  baseURL: `http://127.0.0.1:${PORT}`,
  secret: randomBytes(32).toString('hex'),
  database: new pg.Pool({ connectionString: DATABASE_URL }),
  plugins: [apiKey({ rateLimit: { enabled: false } })],
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
});
await (await getMigrations(auth.options)).runMigrations();

const { internalAdapter } = await auth.$context;
const keys = [];
for (let n = 0; n < 100; n++) {
  const { id } = await internalAdapter.createUser({ name: `user${n}`, email: `user${n}@example.org`, emailVerified: true });
  for (let k = 0; k < 10; k++) keys.push((await auth.api.createApiKey({ body: { userId: id } })).key);
}
writeFileSync(TOKENS, keys.join('\n'));

createServer(async (request, response) => {
  const { valid, key } = await auth.api.verifyApiKey({ body: { key: request.headers['x-api-key'] ?? '' } });
  response.writeHead(valid ? 200 : 401, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ valid, user: key?.referenceId }));
}).listen(PORT, '127.0.0.1');
