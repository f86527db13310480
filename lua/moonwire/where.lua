--- Where the script stands: for warnings about what it never closed.

--- The innermost line that is not ours: "script.lua:12".
---@return string
return function()
  local getinfo = debug.getinfo
  for level = 2, 200 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and info.source:sub(1, 10) ~= "=[moonwire" then return info.short_src .. ":" .. info.currentline end
  end
  return "?"
end
