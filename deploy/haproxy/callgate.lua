-- Asks callgate whether a request may pass. Sets txn.callgate to the status of its answer (200: it may; 0: there was
-- none), and txn.callgate_user, _roles and _company to what the application is to be told.

local address = os.getenv("CALLGATE") or "127.0.0.1:7070"
local path = os.getenv("CALLGATE_PATH") or "/demo/proxy/auth"

-- What belongs to the connection or the body, and what tells the original request: a client's own is not passed on.
local left_out = {
    ["connection"] = true, ["keep-alive"] = true, ["te"] = true, ["trailer"] = true, ["upgrade"] = true,
    ["transfer-encoding"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true,
    ["x-original-method"] = true, ["x-original-url"] = true, ["x-original-uri"] = true, ["x-original-host"] = true,
}

local function question(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not left_out[name] then
            headers[name] = {}
            for at = 0, #values do
                table.insert(headers[name], values[at])
            end
        end
    end
    -- The target as the client sent it: a path, or over HTTP/2 a URL.
    local target = txn.sf:url()
    headers["x-original-method"] = { txn.sf:method() }
    if target:match("^https?://") and txn.sf:req_ver() == "2.0" then
        headers["x-original-url"] = { target }
    else
        headers["x-original-uri"] = { target }
        headers["x-original-host"] = { txn.sf:req_hdr("host") }
    end
    return headers
end

core.register_action("callgate", { "http-req" }, function(txn)
    txn:set_var("txn.callgate", 0)
    local url = "http://" .. address .. path
    local answer = core.httpclient():get({ url = url, headers = question(txn), timeout = 500 })
    if not answer or answer.status == nil then
        return
    end
    local told = answer.headers or {}
    for _, what in ipairs({ "user", "roles", "company" }) do
        local values = told["x-callgate-" .. what]
        txn:set_var("txn.callgate_" .. what, values and values[0] or "")
    end
    txn:set_var("txn.callgate", answer.status)
end, 0)
