--- Random bytes from the kernel, good for keys.

local _, core = ...

return { bytes = core.sys.random }
