/**
 * The script that a Dovecot 2.3 or 2.4 runs for its `push_notification` plugin (driver lua): it posts what a transaction
 * changed to us, and Dovecot waits for the answer before it acknowledges the delivery or the command.
 *
 * It says little: user, event names, mailboxes and UIDs, one entry per event and mailbox however many messages a
 * command touched. We read the truth from the server. Names are written as JSON whatever bytes are in them. The
 * script never fails a transaction: when we do not answer in time Dovecot goes on and logs a warning. When we do not
 * run at all it goes on at once.
 */
export interface PushScriptOptions {
  /** Where to post: `http://127.0.0.1:7700/push/mail-a`, with `?token=…` where there is a push secret. */
  readonly url: string;
  /** Longest wait for an answer. More than our own `push.timeout`, so that our "not protected" still arrives. */
  readonly timeoutMs: number;
}

/** Room for the request itself on top of our own timeout. */
export const TIMEOUT_MARGIN_MS = 500;

const EVENTS = [
  'message_new',
  'message_append',
  'message_expunge',
  'flags_set',
  'flags_clear',
  'mailbox_create',
  'mailbox_delete',
  'mailbox_rename',
  'mailbox_subscribe',
  'mailbox_unsubscribe',
] as const;

export function pushScript(options: PushScriptOptions): string {
  const connectMs = Math.min(options.timeoutMs, 500);
  const handlers = EVENTS.map(
    (event) => `function dovecot_lua_notify_event_${event}(transaction, event) add(transaction, event) end`,
  );
  return `-- Understudy: tells the near-line service what changed. Written by \`understudy init --print-push\`.
-- Dovecot 2.3 and 2.4, plugin push_notification, driver lua. It needs mail_lua and push_notification_lua.
local url = ${luaString(options.url)}
local timeout_msecs = ${options.timeoutMs}
local client = nil

function script_init()
  return 0
end

local function connection()
  if client ~= nil then return client end
  local known, made = pcall(dovecot.http.client, {
    request_timeout_msecs = timeout_msecs,
    request_absolute_timeout_msecs = timeout_msecs,
    connect_timeout_msecs = ${connectMs},
    max_attempts = 1
  })
  -- 2.4 has other names, and refuses those that it does not know.
  if not known then
    made = dovecot.http.client({
      request_timeout = timeout_msecs .. "ms",
      request_absolute_timeout = timeout_msecs .. "ms",
      connect_timeout = "${connectMs}ms",
      request_max_attempts = "1"
    })
  end
  client = made
  return client
end

-- A JSON string of any bytes: bytes that are not UTF-8 become "?".
local function quote(value)
  local text = tostring(value)
  if utf8 == nil or utf8.len(text) == nil then text = text:gsub("[\\128-\\255]", "?") end
  text = text:gsub('[%c"\\\\]', function(char) return string.format("\\\\u%04x", char:byte()) end)
  return '"' .. text .. '"'
end

-- Numbers may arrive as floats.
local function whole(value)
  return string.format("%.0f", tonumber(value) or 0)
end

function dovecot_lua_notify_begin_txn(user)
  return { user = user.username, order = {}, entries = {} }
end

-- One entry per event and mailbox: the last UID stands for all.
local function add(transaction, event)
  local key = quote(event.name) .. quote(event.mailbox or "") .. quote(event.mailbox_old or "")
  if transaction.entries[key] == nil then
    transaction.order[#transaction.order + 1] = key
  end
  transaction.entries[key] = event
end

${handlers.join('\n')}

local function body(transaction, success)
  local events = {}
  for index, key in ipairs(transaction.order) do
    local event = transaction.entries[key]
    local fields = { '"name":' .. quote(event.name) }
    if event.mailbox then fields[#fields + 1] = '"mailbox":' .. quote(event.mailbox) end
    if event.mailbox_old then fields[#fields + 1] = '"mailbox_old":' .. quote(event.mailbox_old) end
    if event.uid then fields[#fields + 1] = '"uid":' .. whole(event.uid) end
    if event.uid_validity then fields[#fields + 1] = '"uid_validity":' .. whole(event.uid_validity) end
    events[index] = "{" .. table.concat(fields, ",") .. "}"
  end
  return '{"user":' .. quote(transaction.user) .. ',"success":' .. tostring(success == true) ..
    ',"events":[' .. table.concat(events, ",") .. "]}"
end

function dovecot_lua_notify_end_txn(transaction, success)
  if #transaction.order == 0 then return end
  local status = 0
  local ok, problem = pcall(function()
    local request = connection():request({ url = url, method = "POST" })
    request:add_header("Content-Type", "application/json")
    request:set_payload(body(transaction, success))
    status = request:submit():status()
    if status >= 300 then error("status " .. status) end
  end)
  if ok then return end
  if status >= 9000 then
    -- Not an answer, but no connection (lib-http/http-response.h): this client would wait longer before each next
    -- try, and the server with it. A new one does not, once the old one is really gone.
    client = nil
    collectgarbage()
  end
  dovecot.i_warning("understudy: a change of " .. tostring(transaction.user) .. " was not told: " .. tostring(problem))
end
`;
}

function luaString(text: string): string {
  return `"${text.replace(/["\\]/g, (character) => `\\${character}`).replace(/[\r\n]/g, '')}"`;
}
