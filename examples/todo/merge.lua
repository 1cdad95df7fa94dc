-- autobee: needs 1.0

-- The merge rule of a shared to-do list. Each field of an item is a key of its own,
--
--   item/ID/text   done   to   list   due   removed   note/CLOCK
--
-- so the last edit in merged order wins field by field, and notes stand in that order. A removed item stays away
-- unless somebody reopens it later. rule.c is the same rule in C.

-- What each kind of edit sets: a field, and its new value. Anything but a text with something in it removes the
-- field.
local changes = {
  edit = function(edit) return "text", edit.text end,
  done = function(edit) return "done", edit.done ~= false and "yes" end,
  assign = function(edit) return "to", edit.to end,
  move = function(edit) return "list", edit.list end,
  due = function(edit) return "due", edit.date end,
  remove = function() return "removed", "yes" end,
  note = function(edit, host) return ("note/%08d"):format(host:clock()), edit.text end,
}

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function merge(edit, view, host)
  local function key(field) return "item/" .. edit.id .. "/" .. field end
  local function has(field) return view:get(key(field)) ~= nil end
  local function set(field, value)
    if is_text(value) then view:put(key(field), value) else view:del(key(field)) end
  end

  if edit.type == "writer" then return host:add_writer(edit.key, { indexer = true }) end
  assert(is_text(edit.id) and #edit.id <= 32, "an edit names an item")
  if edit.type == "add" then
    assert(not has("text"), "this item exists already")
    return set("text", edit.text)
  end

  assert(has("text"), "no such item")
  local reopens = edit.type == "done" and edit.done == false
  if has("removed") and not reopens then return end
  if reopens then set("removed", nil) end

  local change = assert(changes[edit.type], "unknown kind of edit")
  set(change(edit, host))
end

function apply(nodes, view, host)
  for _, node in ipairs(nodes) do
    merge(assert(json.decode(node.value)), view, host)
  end
end

-- `autobee query open`: the items that are left to do, as {id, text}, in the order of their keys.
function query(name, args, view)
  assert(name == "open", "the only query is open")
  local items = json.array()
  for key, text in view:range { prefix = "item/" } do
    local id, field = key:match("^item/([^/]*)/(.*)$")
    if field == "text" and not view:get("item/" .. id .. "/done") and not view:get("item/" .. id .. "/removed") then
      table.insert(items, { id = id, text = text })
    end
  end
  return items
end
