--- What this script may do: asked, asked for, and given up. The kinds and the subjects are those of the flags:
--- `--allow-read=/data` is `"read", "/data"`. Rights only shrink; a request grows them only by what a person allows. A person is
--- asked by `moonwire run` and `eval` on a terminal, about what no rule speaks of: never about what a rule denies, what was
--- dropped, what a policy file or a script child's `permissions` lack.
local _, core = ...
local policy = core.policy

--- Kinds of rights, as in the flags: `--allow-read`, `--trust-run` ("trust"), ...
---@alias moonwire.Kind "read"|"write"|"net"|"connect"|"listen"|"run"|"trust"|"env"|"sys"|"share"|"ffi"

--- One rule.
---@class moonwire.Permission
---@field kind moonwire.Kind      what it is about
---@field effect "allow"|"deny"   what it says
---@field layer integer  1 is the lowest; every layer must say yes
---@field rule? string   nil: everything of the kind

--- What this script may do: asked, asked for, and given up. The kinds and the subjects are those of the flags: `--allow-read=/data`
--- is `"read", "/data"`. Rights only shrink; a request grows them only by what a person allows. A person is asked by `moonwire run`,
--- `eval` and `repl` on a terminal, about what no rule speaks of: never about what a rule denies, what was dropped, what a policy
--- file or a script child's `permissions` lack.
---@class moonwire.permissions
local permissions = {}

--- What would happen now, without asking anybody: `query("net", "example.com:443")`. A host name is not resolved: a right to its
--- addresses alone does not count. "prompt": a person would be asked.
---
--- ```lua
--- if mw.permissions.query("read", "/etc/hosts") == "granted" then
---   print(mw.fs.read("/etc/hosts"))
--- end
--- ```
---@param kind moonwire.Kind
---@param subject? string  nil: everything of the kind
---@return "granted"|"denied"|"prompt" state
function permissions.query(kind, subject) return policy.query(kind, subject) end

--- The same, but asks the person at the terminal if there is one. Their "always" lasts until the exit; their "once" is kept for the
--- next use of just that: ask, then use it. Who said no to the same thing three times is not asked again.
---@param kind moonwire.Kind
---@param subject? string
---@return "granted"|"denied" state
function permissions.request(kind, subject) return policy.request(kind, subject) end

--- Gives a right up for good, with all below it: `drop("run")`, `drop("write", "/data/old")`. What runs already goes on.
---@param kind moonwire.Kind
---@param subject? string  nil: everything of the kind
---@return true? ok
---@return moonwire.Err? err  a program that does not exist, where a grant could have meant it
function permissions.drop(kind, subject) return policy.drop(kind, subject) end

--- Every rule of every layer, the lowest first; what was dropped comes last.
---@return moonwire.Permission[] rules
function permissions.list() return policy.list() end

return permissions
