// Uses the client that openapi-typescript and openapi-fetch generated from the document of the running service.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

// The types of Node.js are not installed.
declare const process: { argv: string[] };

type Schemas = components["schemas"];

function check(condition: unknown, text: unknown): asserts condition {
  if (!condition) throw new Error(JSON.stringify(text));
}

/** Checks the shape of an error, and returns its name. */
function errorName(error: Schemas["Error"] | undefined): string {
  check(error && error.exception.message && error.exception.details.endsWith("."), error);
  return error.exception.name;
}

const [url, email, password] = process.argv.slice(2);
check(url && email && password, process.argv);
const connect = (authorization: string) => createClient<paths>({ baseUrl: url, headers: { authorization } });

const byPassword = connect("Basic " + btoa(`${email}:${password}`));
const creation = await byPassword.POST("/v4/apiAccessTokens", {
  body: { lifetimeSeconds: 3600, description: "generated client" },
});
check(creation.data && creation.response.status === 201, creation);
const { tokenValue, tokenInfo } = creation.data;
const byToken = connect(`Bearer ${tokenValue}`);

const person = await byToken.GET("/v4/people/current");
check(person.data, person);
// Always present, though it may be null.
const lastLogin: string | null = person.data.lastLoginTime;
check(person.data.email === email && lastLogin !== null && person.data.ssoPrincipal === null, person.data);

const tokens = await byToken.GET("/v4/apiAccessTokens", { params: { query: { includeCount: true, sort: "-createdAt" } } });
check(tokens.data && tokens.data.count === 1, tokens);
const [row] = tokens.data.data;
const status: "active" | "expired" | undefined = row?.status;
check(row && row.tokenId === tokenInfo.tokenId && status === "active", row);
const expiredAt: string | null = row.expiredAt;
check(expiredAt !== null && Date.parse(expiredAt) - Date.parse(row.createdAt) === 3600_000, row);

const key = "feature.apiAccessTokens.maxLifetimeDays";
const path = { id: "current" };
const updated = await byToken.PATCH("/v4/workspaces/{id}/configuration", {
  params: { path },
  body: { configuration: [{ key, value: 365 }] },
});
check(updated.data && updated.data.id === 1, updated);
const settings = await byToken.GET("/v4/workspaces/{id}/configuration", { params: { path, query: { key } } });
const setting: Schemas["Setting"] | undefined = settings.data?.[0];
check(setting && setting.value === 365 && setting.effectiveValue === 365 && setting.source === "workspace", settings);
const tooLong = await byToken.POST("/v4/apiAccessTokens", { body: { lifetimeSeconds: 366 * 86400 } });
check(errorName(tooLong.error) === "ValidationFailed", tooLong);

const other = { path: { tokenId: crypto.randomUUID() } };
const missing = await byToken.GET("/v4/apiAccessTokens/{tokenId}", { params: other });
check(missing.response.status === 404 && errorName(missing.error) === "DataNotFoundException", missing);

const own = { path: { tokenId: tokenInfo.tokenId } };
const deleted = await byToken.DELETE("/v4/apiAccessTokens/{tokenId}", { params: own });
check(deleted.response.status === 204, deleted);
const denied = await byToken.GET("/v4/apiAccessTokens");
check(denied.response.status === 401 && errorName(denied.error) === "MissingPersonException", denied);

// The types reject what the document does not allow. An unused directive is an error.
export const rejected = () => [
  // @ts-expect-error No such path.
  byToken.GET("/v4/nothing"),
  // @ts-expect-error The lifetime is a number.
  byToken.POST("/v4/apiAccessTokens", { body: { lifetimeSeconds: "3600" } }),
  // @ts-expect-error No such setting.
  byToken.PATCH("/v4/workspaces/{id}/configuration", { params: { path }, body: { configuration: [{ key: "x", value: 1 }] } }),
];
console.log("completed");
