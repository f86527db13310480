---@meta
--- The door `core.policy` (host/bind/policy.c), behind mw.permissions.

---@class moonwire.core.policy
local policy = {}

---@param kind moonwire.Kind
---@param subject? string
---@return "granted"|"denied"|"prompt"
function policy.query(kind, subject) end

---@param kind moonwire.Kind
---@param subject? string
---@return "granted"|"denied"
function policy.request(kind, subject) end

---@param kind moonwire.Kind
---@param subject? string
---@return true? ok
---@return moonwire.Err? err
function policy.drop(kind, subject) end

---@return moonwire.Permission[]
function policy.list() end

---@param kind moonwire.Kind
---@param subject string
---@return string hint  what grants it: a flag quoted for a shell, or in an embedded host the policy's rule
function policy.grant(kind, subject) end

--- From here on nobody is asked for a right that the tasks of the innermost scope lack, however deep.
function policy.unasked() end

return policy
