-- autobee: needs 1.0

-- The apply function "json-v1" of peers/autobee-peer.js: every operation counts itself, so a different order is a
-- different view.
policy = { on_error = "skip", optimistic = true }

local function apply_one(node, view, host)
  local op = json.decode(node.value)
  if type(op) ~= "table" then op = {} end
  assert(not (op.reject and node.optimistic), "rejected by apply")

  if op.addWriter then host:add_writer(op.addWriter, { indexer = op.isIndexer, weight = op.weight }) end
  if op.removeWriter then host:remove_writer(op.removeWriter) end
  if op.ack then host:ack_writer(node.key) end

  local last = view:get("clock")
  local count = last and tonumber(last) + 1 or 0
  local write = view:write()
  write:put("clock", tostring(count))
  write:put("latest", node.value)
  write:put(("#%06d"):format(count), hex(node.key) .. "." .. node.length)
  for key, value in pairs(op.put or {}) do write:put(key, value) end
  for _, key in ipairs(op.del or {}) do write:del(key) end
  write:flush()
end

function apply(nodes, view, host)
  for _, node in ipairs(nodes) do apply_one(node, view, host) end
end
