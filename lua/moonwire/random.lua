--- Random bytes from the kernel, good for keys.

local _, core = ...

---@class moonwire.random
return { bytes = core.sys.random }
