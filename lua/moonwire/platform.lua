--- What this program was built for: `os` ("linux"), `arch` ("x86_64", "aarch64").

local _, core = ...

return { os = core.sys.os, arch = core.sys.arch }
