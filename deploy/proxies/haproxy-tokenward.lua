-- Checks a request with Tokenward. The URL names the workspace to admit; `any` admits all workspaces of the Tokenward server.
local URL = "http://127.0.0.1:3005/v4/auth/workspace=1"
local HEADERS = {
  "remote-user", "remote-name", "remote-email", "remote-groups", "x-tokenward-person-id", "x-tokenward-workspace-id",
  "x-tokenward-token-id", "x-tokenward-token-expires", "x-tokenward-scopes",
}

core.register_action("tokenward", { "http-req" }, function(txn)
  txn:set_var("txn.tw_status", "unavailable")
  local sent, asked = txn.http:req_get_headers(), {}
  if sent["authorization"] then asked["authorization"] = { sent["authorization"][0] } end
  -- The client address. Tokenward uses it if listen.trusted_proxies contains this proxy.
  asked["x-forwarded-for"] = { txn.f:src() }
  local answer = core.httpclient():get { url = URL, headers = asked, timeout = 3000 }
  if not answer then return end
  txn:set_var("txn.tw_body", answer.body or "")
  if answer.status == 200 then
    for _, name in ipairs(HEADERS) do
      local values = answer.headers[name]
      -- Without one of these headers the service would see the client's. Deny the request.
      if not values then return end
      txn:set_var("txn." .. name:gsub("-", "_"), values[0])
    end
    txn:set_var("txn.tw_status", "allowed")
  elseif answer.status == 401 then
    local challenges, all = answer.headers["www-authenticate"] or {}, {}
    for n = 0, 7 do
      if challenges[n] then all[#all + 1] = challenges[n] end
    end
    txn:set_var("txn.tw_challenge", table.concat(all, ", "))
    txn:set_var("txn.tw_status", "refused")
  elseif answer.status == 403 then
    txn:set_var("txn.tw_status", "forbidden")
  end
end, 0)
