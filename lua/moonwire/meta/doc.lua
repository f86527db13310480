---@meta
--- The door `core.doc` (host/bind/doc.c), for moonwire.doc.

---@class moonwire.core.doc
local door = {}

--- The text of every module that is carried along, the inner ones too, and of lua/moonwire/meta.
---@return { file: string, text: string }[]
function door.texts() end

return door
