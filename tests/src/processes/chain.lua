-- autobee: needs 1.0

-- {"own":KEY,"shared":KEY,"value":TEXT}: KEY of its own gets the text; the shared key's value gets it at its end, and
-- keeps the last of them. So the view shows in which order what was applied.
function apply(nodes, view, host)
  for _, node in ipairs(nodes) do
    local operation = assert(json.decode(node.value))
    if operation.addWriter then
      host:add_writer(operation.addWriter, { indexer = operation.isIndexer })
    else
      view:put(operation.own, operation.value)
      view:put(operation.shared, (view:get(operation.shared) or ""):sub(-100) .. " " .. operation.value)
    end
  end
end
